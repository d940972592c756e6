"""The simulated restaurants: each ticket is answered through the orders API, and completed when the food is done.

A ticket's message is deleted after its last answer, so what a crash interrupts comes back and is taken up again.
"""

import math
import threading
from dataclasses import dataclass
from datetime import timedelta

from botocore.exceptions import BotoCoreError, ClientError

from events import UNANSWERED, Event, OrderAccepted, OrderCompleted, OrderRejected
from foundation.clock import Clock, Wait
from foundation.diagnostics import Diagnostic, Emit
from producers.load.ledger import LedgerWriter, expected_events
from producers.load.live.agenda import Agenda
from producers.load.live.orders_client import Acknowledged, OrdersClient, Refused, Reply
from producers.load.live.tickets import Ticket, TicketMessage, TicketQueue
from producers.load.market import LONGEST_COOKING, LONGEST_QUEUE, KitchenPlan, Kitchens
from producers.orders import DEFAULT_KEYS, AcceptOrder, CompleteOrder, RejectOrder, RestaurantCommand

_EVENTS: dict[type[RestaurantCommand], type[Event]] = {
    AcceptOrder: OrderAccepted,
    RejectOrder: OrderRejected,
    CompleteOrder: OrderCompleted,
}

# Beyond the longest ticket: the API may need repeats.
VISIBILITY_MARGIN = timedelta(minutes=2)
QUEUE_BACKOFF = 1.0


# Minutes. No live order expires: a late answer comes just before it would.
LONGEST_ANSWER = 9.5
# A live market never closes, so a forgotten tap is noticed after so long.
FORGOTTEN_FOR = 30.0


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


@dataclass(frozen=True)
class Served:
    """Orders by what the restaurants have done with them; a completed order was accepted too.

    `unanswered` ended before an answer: their customers cancelled them, or the time was over.
    """

    accepted: frozenset[str]
    rejected: frozenset[str]
    completed: frozenset[str]
    unanswered: frozenset[str] = frozenset()

    @property
    def finished(self) -> frozenset[str]:
        return self.rejected | self.completed | self.unanswered


def answer_minutes(plan: KitchenPlan) -> float:
    return min(plan.answer_after, LONGEST_ANSWER)


def live_answer(plan: KitchenPlan, speed: float) -> AcceptOrder | RejectOrder:
    """The same for every delivery of a ticket, so nobody is turned away here. A promise is a minute at the least."""
    if isinstance(plan.answer, RejectOrder):
        return plan.answer
    return AcceptOrder(ready_in_minutes=math.ceil(plan.answer.ready_in_minutes / speed))


def completion_minutes(plan: KitchenPlan) -> float:
    return plan.preparation + (FORGOTTEN_FOR if plan.forgets else 0.0)


def longest_ticket(speed: float = 1.0) -> timedelta:
    """How long any ticket can keep a kitchen busy, from arrival to completion."""
    return timedelta(minutes=(LONGEST_ANSWER + LONGEST_QUEUE + LONGEST_COOKING + FORGOTTEN_FOR) / speed)


class Restaurants:
    """All restaurants of a market at once; any ticket on the queue is theirs."""

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
    ) -> None:
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
        self._unanswered: set[str] = set()
        self._done: dict[type[RestaurantCommand], set[str]] = {kind: set() for kind in _EVENTS}

    def run(self, stop: threading.Event) -> None:
        """Works until stopped. Tickets in hand then are not lost: their messages come back."""
        with Agenda(self._clock, self._wait) as agenda:
            while not stop.is_set():
                agenda.check()
                for message in self._receive():
                    self._take(message, agenda)

    def served(self) -> Served:
        with self._lock:
            return Served(
                accepted=frozenset(self._done[AcceptOrder]),
                rejected=frozenset(self._done[RejectOrder]),
                completed=frozenset(self._done[CompleteOrder]),
                unanswered=frozenset(self._unanswered),
            )

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
                self._unanswered.add(ticket.order_id)
            self._delete(message)
            return
        with self._lock:
            finished = ticket.event_id in self._finished or ticket.order_id in self._unanswered
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
        agenda.after(self._seconds(answer_minutes(plan)), lambda: self._answer(message, ticket, plan, agenda))

    def _seconds(self, minutes: float) -> float:
        return minutes * 60 / self._speed

    def _answer(self, message: TicketMessage, ticket: Ticket, plan: KitchenPlan, agenda: Agenda) -> None:
        with self._lock:
            withdrawn = ticket.order_id in self._unanswered
        if withdrawn:
            self._settle(message, ticket)
            return
        command = live_answer(plan, self._speed)
        reply = self._perform(command, ticket)
        if isinstance(reply, Acknowledged) and isinstance(command, AcceptOrder):
            agenda.after(self._seconds(completion_minutes(plan)), lambda: self._complete(message, ticket))
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
        self._ledger.intend(entries)
        reply = self._api.perform(command, order_id=ticket.order_id, restaurant_id=ticket.restaurant_id)
        if isinstance(reply, Acknowledged):
            self._ledger.acknowledge(entries, self._clock.now())
            with self._lock:
                self._done[kind].add(ticket.order_id)
        else:
            if isinstance(reply, Refused) and any(f"this one is {state}." in reply.detail for state in UNANSWERED):
                with self._lock:
                    self._unanswered.add(ticket.order_id)
            self._emit(TicketNotServed(ticket.order_id, DEFAULT_KEYS[kind], str(reply)))
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
