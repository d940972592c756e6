"""The states of an order: one table of what leads from which to which, and what follows from events seen in no order.

The orders API allows what the table has. Readers that see events in another order than they happened, or lack some, as
SQL over the lake, go by the precedence that is derived from it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, TypeAlias

import msgspec

from events.orders import (
    Event,
    OrderAccepted,
    OrderCancelled,
    OrderCompleted,
    OrderExpired,
    OrderPlaced,
    OrderRejected,
    RestaurantNotified,
    TicketWithdrawn,
    UserNotified,
    VoucherIssued,
)

PLACED: Final = "placed"
ACCEPTED: Final = "accepted"
COMPLETED: Final = "completed"
REJECTED: Final = "rejected"
CANCELLED: Final = "cancelled"
EXPIRED: Final = "expired"
# A placed order of which the restaurant has been told: a fact beside the state, which readers tell apart.
NOTIFIED: Final = "notified"

# The ends of an order that no restaurant answered.
UnansweredState: TypeAlias = Literal["cancelled", "expired"]
FinalState: TypeAlias = Literal["completed", "rejected", UnansweredState]
OrderState: TypeAlias = Literal["placed", "accepted", FinalState]
Standing: TypeAlias = Literal["notified", OrderState]


@dataclass(frozen=True)
class Transition:
    """`event` leads an order from `before` to `state`; the first one leads from no order at all, None."""

    event: type[Event]
    before: OrderState | None
    state: OrderState


# An order only goes on, and to each state one event leads.
TRANSITIONS: tuple[Transition, ...] = (
    Transition(OrderPlaced, None, PLACED),
    Transition(OrderAccepted, PLACED, ACCEPTED),
    Transition(OrderCompleted, ACCEPTED, COMPLETED),
    Transition(OrderRejected, PLACED, REJECTED),
    Transition(OrderCancelled, PLACED, CANCELLED),
    Transition(OrderExpired, PLACED, EXPIRED),
)
TRANSITION_BY: dict[type[msgspec.Struct], Transition] = {transition.event: transition for transition in TRANSITIONS}

STATES: tuple[OrderState, ...] = tuple(transition.state for transition in TRANSITIONS)
STANDINGS: tuple[Standing, ...] = (NOTIFIED, *STATES)
# Nothing leads on from these.
FINAL: tuple[OrderState, ...] = tuple(
    state for state in STATES if all(transition.before != state for transition in TRANSITIONS)
)
FINAL_EVENTS: tuple[type[Event], ...] = tuple(
    transition.event for transition in TRANSITIONS if transition.state in FINAL
)

# What leads an order out of where its placing left it: until one of them it waits for its answer.
ANSWERS: tuple[type[Event], ...] = tuple(transition.event for transition in TRANSITIONS if transition.before == PLACED)

# The ends that came before an answer.
UNANSWERED: tuple[UnansweredState, ...] = (CANCELLED, EXPIRED)

# What the events say that change no state, where the one that did is missing, as in a window that begins behind it. Of
# customers who were told, nearly all were told of an acceptance.
_IMPLIED: tuple[tuple[type[Event], Standing], ...] = (
    (VoucherIssued, COMPLETED),
    (TicketWithdrawn, CANCELLED),
    (UserNotified, ACCEPTED),
    (RestaurantNotified, NOTIFIED),
)


def reached(state: OrderState) -> tuple[OrderState, ...]:
    """The states of an order that has come to `state`, that one first: those that it came by."""
    [before] = (transition.before for transition in TRANSITIONS if transition.state == state)
    return (state, *(reached(before) if before else ()))


def from_on(state: OrderState) -> tuple[OrderState, ...]:
    """The states of orders that have come to `state`, or by it."""
    return tuple(one for one in STATES if state in reached(one))


def _precedence() -> tuple[tuple[tuple[type[Event], Standing], ...], ...]:
    by_steps: dict[int, list[tuple[type[Event], Standing]]] = {}
    for transition in TRANSITIONS:
        by_steps.setdefault(len(reached(transition.state)), []).append((transition.event, transition.state))
    *later, first = (tuple(by_steps[steps]) for steps in sorted(by_steps, reverse=True))
    return (*later, *((implied,) for implied in _IMPLIED), first)


# For readers that see events in no order. Of the first rank with an event that is there, the earliest such event
# counts; at the same moment the one that stands first here.
PRECEDENCE: tuple[tuple[tuple[type[Event], Standing], ...], ...] = _precedence()


def standing(seen: Iterable[tuple[type[Event], datetime]]) -> Standing:
    """Where an order stands of which these events are known, each with when it occurred; in any order, any repeated."""
    first: dict[type[Event], datetime] = {}
    for event, occurred_at in seen:
        first[event] = min(occurred_at, first.get(event, occurred_at))
    for rank in PRECEDENCE:
        there = [(first[event], place, state) for place, (event, state) in enumerate(rank) if event in first]
        if there:
            # guarantee: of two answers to an order the earlier counts
            return min(there)[-1]
    return PLACED
