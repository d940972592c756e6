"""The keys of the live screen, and what they show; pure."""

from collections.abc import Sequence
from concurrent.futures import Future

import pytest

from takeaway.overview.keys import BACK, DOWN, ENTER, UP, named
from takeaway.overview.live import Shown
from takeaway.overview.screen import order_ids
from tests.takeaway.overview.an_overview import ORDER, an_overview, frozen_notifier


def answered(order_id: str) -> "Future[Sequence[str]]":
    found: Future[Sequence[str]] = Future()
    found.set_result([f"order {order_id}", "it was placed"])
    return found


def text(shown: Shown) -> str:
    return "\n".join(line.plain for line in shown.lines(80, 24))


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        (b"\x1b[A", UP),
        (b"k", UP),
        (b"\x1b[B", DOWN),
        (b"\r", ENTER),
        (b"\x1b", BACK),
        (b"q", "q"),
        (b"", None),
        (b"\x1b[5~", None),
    ],
)
def test_keys_have_names_and_what_is_none_is_none(sent: bytes, name: str | None) -> None:
    assert named(sent) == name


def test_an_order_is_chosen_and_its_trace_opened_and_closed() -> None:
    shown = Shown()
    assert text(shown) == "looking"
    assert shown.pressed(ENTER, answered), "nothing is chosen yet"
    shown.looked(an_overview(consumers=(frozen_notifier(),)))
    assert shown.pressed(DOWN, answered)
    assert shown.chosen == ORDER
    assert shown.pressed(ENTER, answered)
    assert "looking for order" in text(shown)
    shown.answered()
    assert f"order {ORDER}\nit was placed" in text(shown)
    shown.pressed(DOWN, answered)
    assert text(shown).startswith("it was placed")
    assert shown.pressed("q", answered), "it closes the trace, and not the screen"
    assert text(shown).startswith("takeaway top")
    assert not shown.pressed("q", answered)


def test_the_choice_goes_round_and_is_given_up_with_its_order() -> None:
    shown = Shown()
    overview = an_overview(consumers=(frozen_notifier(),))
    shown.looked(overview)
    for _ in order_ids(overview):
        shown.pressed(UP, answered)
    assert shown.chosen == ORDER
    shown.looked(an_overview())
    assert shown.chosen is None
