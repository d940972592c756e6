"""The simulated restaurants: each ticket is answered through the orders API, and completed when the food is done.

A ticket's message is deleted after its last answer, so what a crash interrupts comes back and is taken up again.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from botocore.exceptions import BotoCoreError, ClientError

from events import (
    CANCELLED,
    EXPIRED,
    TRANSITION_BY,
    UNANSWERED,
    Event,
    OrderAccepted,
    OrderCompleted,
    OrderRejected,
    OrderState,
)
from foundation.clock import Clock, Wait
from foundation.diagnostics import Diagnostic, Emit
from producers.load.ledger import LedgerWriter, expected_events
from producers.load.live.agenda import Agenda
from producers.load.live.commands import given
from producers.load.live.orders_client import Acknowledged, OrdersClient, Refused, Reply
from producers.load.live.pace import LONGEST_TICKET, answer_seconds, completion_seconds, live_answer, seconds
from producers.load.live.tickets import Ticket, TicketMessage, TicketQueue
from producers.load.market import ANSWER_DEADLINE, KitchenPlan, Kitchens
from producers.orders import DEFAULT_KEYS, AcceptOrder, CompleteOrder, RejectOrder, RestaurantCommand

_EVENTS: dict[type[RestaurantCommand], type[Event]] = {
    AcceptOrder: OrderAccepted,
    RejectOrder: OrderRejected,
    CompleteOrder: OrderCompleted,
}

# Beyond the longest ticket: the API may need repeats.
VISIBILITY_MARGIN = timedelta(minutes=2)
QUEUE_BACKOFF = 1.0


@dataclass(frozen=True)
class UnreadableTicket(Diagnostic):
    """A message on the ticket queue that is no ticket; it is left there."""

    message_id: str
    error: str


@dataclass(frozen=True)
class TicketNotServed(Diagnostic):
    """The API refused a restaurant's command, or gave no answer; unanswered tickets come back."""

    order_id: str
    command: str
    reply: str


@dataclass(frozen=True)
class TicketQueueFailed(Diagnostic):
    """The ticket queue does not answer; it is asked again."""

    operation: str
    error: str


def longest_ticket(speed: float = 1.0) -> timedelta:
    """How long any ticket can keep a kitchen busy, from arrival to completion."""
    return timedelta(seconds=seconds(LONGEST_TICKET, speed))


class Restaurants:
    """All restaurants of a market at once; any ticket on the queue is theirs, but for those that people run."""

    def __init__(
        self,
        queue: TicketQueue,
        api: OrdersClient,
        ledger: LedgerWriter,
        *,
        cooking: Kitchens,
        speed: float,
        clock: Clock,
        wait: Wait,
        emit: Emit,
        run_by_people: Callable[[str], bool] = lambda _: False,
    ) -> None:
        """`run_by_people` says of a restaurant's id whether its tickets are left to a person."""
        self._run_by_people = run_by_people
        self._queue = queue
        self._api = api
        self._ledger = ledger
        self._cooking = cooking
        self._opened = clock.monotonic()
        self._speed = speed
        self._clock = clock
        self._wait = wait
        self._emit = emit
        self._hidden_for = longest_ticket(speed) + VISIBILITY_MARGIN
        self._lock = threading.Lock()
        self._in_hand: set[str] = set()
        self._finished: set[str] = set()
        self._states: dict[str, OrderState] = {}

    def run(self, stop: threading.Event) -> None:
        """Works until stopped. Tickets in hand then are not lost: their messages come back."""
        with Agenda(self._clock, self._wait) as agenda:
            while not stop.is_set():
                agenda.check()
                for message in self._receive():
                    self._take(message, agenda)

    def states(self) -> dict[str, OrderState]:
        """How far each order is known to be of which there was a ticket."""
        with self._lock:
            return dict(self._states)

    def _receive(self) -> list[TicketMessage]:
        try:
            return self._queue.receive(self._hidden_for)
        except (BotoCoreError, ClientError) as error:
            self._emit(TicketQueueFailed("receive", f"{type(error).__name__}: {error}"))
            self._wait(QUEUE_BACKOFF)
            return []

    def _take(self, message: TicketMessage, agenda: Agenda) -> None:
        ticket = message.ticket
        if ticket is None:
            self._emit(UnreadableTicket(message.message_id, message.error))
            return
        # guarantee: a restaurant does not answer a ticket that was withdrawn
        if ticket.is_withdrawal:
            with self._lock:
                self._states[ticket.order_id] = EXPIRED if ticket.reason == EXPIRED else CANCELLED
            self._delete(message)
            return
        # guarantee: the tickets of a restaurant that a person runs are left to them
        if self._is_left_to_people(ticket):
            return
        with self._lock:
            finished = ticket.event_id in self._finished or self._is_withdrawn(ticket)
            # Served at this moment for another delivery: this one comes back when that is over, well or badly.
            in_hand = ticket.event_id in self._in_hand
            if not finished and not in_hand:
                self._in_hand.add(ticket.event_id)
        if finished:
            self._delete(message)
        if finished or in_hand:
            return
        minutes = (self._clock.monotonic() - self._opened) * self._speed / 60
        plan = self._cooking.of(ticket.restaurant_id).take(ticket.order_id, minutes)
        answer_after = answer_seconds(plan, self._speed, self._time_left(ticket))
        if answer_after is None:
            # Mislaid: that it is withdrawn is the next that is heard of the order.
            self._settle(message, ticket)
            return
        agenda.after(answer_after, lambda: self._answer(message, ticket, plan, agenda))

    def _is_left_to_people(self, ticket: Ticket) -> bool:
        """The message comes back when its time of being hidden is over: the person may have left by then."""
        try:
            return self._time_left(ticket) > 0 and self._run_by_people(ticket.restaurant_id)
        except (BotoCoreError, ClientError) as error:
            self._emit(TicketQueueFailed("ask whose it is", f"{type(error).__name__}: {error}"))
            return True

    def _time_left(self, ticket: Ticket) -> float:
        if ticket.accept_by is None:
            return seconds(ANSWER_DEADLINE, self._speed)
        return (ticket.accept_by - self._clock.now()).total_seconds()

    def _is_withdrawn(self, ticket: Ticket) -> bool:
        return self._states.get(ticket.order_id) in UNANSWERED

    def _answer(self, message: TicketMessage, ticket: Ticket, plan: KitchenPlan, agenda: Agenda) -> None:
        with self._lock:
            withdrawn = self._is_withdrawn(ticket)
        if withdrawn:
            self._settle(message, ticket)
            return
        command = live_answer(plan, self._speed)
        reply = self._perform(command, ticket)
        if isinstance(reply, Acknowledged) and isinstance(command, AcceptOrder):
            agenda.after(completion_seconds(plan, self._speed), lambda: self._complete(message, ticket))
        else:
            self._finish(message, ticket, reply)

    def _complete(self, message: TicketMessage, ticket: Ticket) -> None:
        self._finish(message, ticket, self._perform(CompleteOrder(), ticket))

    def _perform(self, command: RestaurantCommand, ticket: Ticket) -> Reply:
        kind = type(command)
        entries = expected_events(
            _EVENTS[kind],
            DEFAULT_KEYS[kind],
            order_id=ticket.order_id,
            restaurant_id=ticket.restaurant_id,
            intended_at=self._clock.now(),
        )
        reply = given(
            self._ledger,
            entries,
            lambda: self._api.perform(command, order_id=ticket.order_id, restaurant_id=ticket.restaurant_id),
            self._clock,
        )
        state = reply.state if isinstance(reply, Refused) else None
        if isinstance(reply, Acknowledged):
            state = TRANSITION_BY[_EVENTS[kind]].state
        elif state not in UNANSWERED:
            # Of an order that came to nothing meanwhile, that is a normal end.
            self._emit(TicketNotServed(ticket.order_id, DEFAULT_KEYS[kind], str(reply)))
        if state is not None:
            with self._lock:
                self._states[ticket.order_id] = state
        return reply

    def _finish(self, message: TicketMessage, ticket: Ticket, reply: Reply) -> None:
        """Deletes the ticket after an answer, also after a no: asking again would not change it."""
        if isinstance(reply, (Acknowledged, Refused)):
            self._settle(message, ticket)
            return
        with self._lock:
            self._in_hand.discard(ticket.event_id)

    def _settle(self, message: TicketMessage, ticket: Ticket) -> None:
        with self._lock:
            self._in_hand.discard(ticket.event_id)
            self._finished.add(ticket.event_id)
        self._delete(message)

    def _delete(self, message: TicketMessage) -> None:
        """A message that cannot be deleted comes back, and is recognised then."""
        try:
            self._queue.delete(message)
        except (BotoCoreError, ClientError) as error:
            self._emit(TicketQueueFailed("delete", f"{type(error).__name__}: {error}"))
