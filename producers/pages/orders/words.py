"""What the pages say about orders, in words for people. Pure."""

from http import HTTPStatus

from events import ACCEPTED, CANCELLED, COMPLETED, EXPIRED, PLACED, REJECTED, OrderState
from producers.api import Problem, refused
from producers.orders import KeyReused, Refusal, Role, WrongState

GOOD: tuple[OrderState, ...] = (ACCEPTED, COMPLETED)
BAD: tuple[OrderState, ...] = (REJECTED, CANCELLED, EXPIRED)
# An order that came to a bad end is called by that end's own name.
STATES: dict[OrderState, str] = {
    PLACED: "waiting",
    ACCEPTED: "being prepared",
    COMPLETED: "ready",
    **{state: str(state) for state in BAD},
}
REASONS: dict[str, str] = {
    "too_busy": "too busy",
    "out_of_stock": "out of stock",
    "closed": "closed",
    "other": "another reason",
}
# What came first, as it is told to those who came second.
_CAME_FIRST: dict[Role, dict[OrderState, str]] = {
    "customer": {
        ACCEPTED: "The restaurant has accepted this order already.",
        COMPLETED: "This order is ready already.",
        REJECTED: "The restaurant has rejected this order already.",
        CANCELLED: "You have cancelled this order already.",
        EXPIRED: "This order has expired: there was no answer in time.",
    },
    "restaurant": {
        PLACED: "This order is not accepted yet.",
        ACCEPTED: "This order is accepted already.",
        COMPLETED: "This order is completed already.",
        REJECTED: "This order is rejected already.",
        CANCELLED: "The customer has cancelled this order.",
        EXPIRED: "The time for an answer was over: this order has expired.",
    },
}


def in_words(refusal: Refusal, role: Role) -> Problem:
    """The problem that a refused command ends in, for people: of two that came at once, what the other one did."""
    if isinstance(refusal, WrongState):
        words = _CAME_FIRST.get(role, {}).get(refusal.state, refusal.detail)
        fix = "Nothing was changed; this page shows how it stands now."
        return Problem("wrong-state", HTTPStatus.CONFLICT, words, fix, state=refusal.state)
    if isinstance(refusal, KeyReused):
        words = "This form has placed an order already, and what is chosen has changed since."
        return Problem("key-reused", HTTPStatus.UNPROCESSABLE_ENTITY, words, "Load the page again to order once more.")
    return refused(refusal)
