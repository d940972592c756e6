"""The code of a voucher is worth money to whoever knows it: it follows from nothing that others see."""

from typing import Any

from consumers.steps.stateful import WithState
from consumers.subscribers.promo_issuer import Customer, stateful
from events.orders import OrderCompleted
from tests.consumers.steps.test_stateful import CLOCK
from tests.support.builders import an_envelope, an_order_completed
from tests.support.fakes.states import FakeStates

NOTHING: Any = None
FIFTH: Any = an_envelope(an_order_completed(), cause="complete")


def codes(draws: int) -> set[str]:
    """Of the same order after the same orders, each time decided anew."""
    decided = [stateful(NOTHING, NOTHING).decide(Customer(4), FIFTH)[1] for _ in range(draws)]
    return {one.voucher_code for one in decided}  # type: ignore[union-attr] # a fifth one earns one


def test_a_code_follows_neither_from_the_order_nor_from_its_events() -> None:
    """Both are known to the restaurant that completed it."""
    assert len(codes(100)) == 100
    assert all(len(code) == 12 and code.isalnum() and code.isascii() for code in codes(10))


def test_of_the_codes_that_are_drawn_for_an_event_the_stored_one_is_told_again_and_again() -> None:
    states = FakeStates(recalls_nothing=True)
    issuing: Any = {"clock": CLOCK, "wait": lambda _: False, "chance": None, "emit": lambda _: None}
    for number in range(4):
        earlier: Any = an_envelope(an_order_completed(), order_id=f"earlier-{number}", cause="complete")
        WithState("promo_issuer", stateful(NOTHING, NOTHING), states, **issuing).once(earlier)
    told = [
        WithState[Customer, OrderCompleted]("promo_issuer", stateful(NOTHING, NOTHING), states, **issuing).once(FIFTH)
        for _ in range(3)
    ]
    assert len({one.data for one in told}) == len(told[0].follows) == 1
