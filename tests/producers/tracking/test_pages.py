"""Pages of orders put together from parts, and their cursors; pure."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.tracking import BadCursor
from producers.tracking.item import position
from producers.tracking.pages import Part, cursor_of, page_of, position_of
from tests.support.builders import NOON


def an_item(minute: int, order_id: str, state: str) -> Any:
    at = position(NOON + timedelta(minutes=minute), order_id)
    return {"order_id": {"S": order_id}, "state": {"S": state}, "listed_as": {"S": at}}


def looked_at(items: list[Any], before: str | None, most: int, state: str | None) -> Part:
    """As an index answers: the newest `most` before a position, of which those in the state are shown."""
    behind = sorted(
        (one for one in items if before is None or one["listed_as"]["S"] < before),
        key=lambda one: str(one["listed_as"]["S"]),
        reverse=True,
    )
    found = behind[:most]
    shown = [one for one in found if state in (None, one["state"]["S"])]
    return Part(shown, found[-1]["listed_as"]["S"] if len(behind) > most else None)


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3), st.sampled_from(["placed", "accepted"])), max_size=30),
    st.integers(1, 4),
    st.integers(1, 4),
    st.sampled_from([None, "placed"]),
)
def test_pages_have_each_order_once_the_newest_first(
    drawn: list[tuple[int, int, str]], limit: int, most: int, state: str | None
) -> None:
    parts: list[list[Any]] = [[], [], [], []]
    for number, (minute, part, stands) in enumerate(drawn):
        parts[part].append(an_item(minute, f"order-{number}", stands))
    paged: list[str] = []
    before, pages = None, 0
    while True:
        page = page_of([looked_at(items, before, most, state) for items in parts], limit)
        assert len(page.orders) <= limit
        paged += [one.order_id for one in page.orders]
        pages += 1
        if page.cursor is None:
            break
        before = position_of(page.cursor)
        assert pages <= len(drawn)
    everything = sorted(
        (one for items in parts for one in items), key=lambda one: str(one["listed_as"]["S"]), reverse=True
    )
    assert paged == [one["order_id"]["S"] for one in everything if state in (None, one["state"]["S"])]


def test_a_page_shows_nothing_behind_what_a_part_was_looked_at() -> None:
    near = Part([an_item(9, "a", "placed")], looked_to=position(NOON + timedelta(minutes=8), "x"))
    far = Part([an_item(7, "b", "placed")], looked_to=None)
    page = page_of([near, far], 10)
    assert [one.order_id for one in page.orders] == ["a"]
    assert page.cursor == cursor_of(near.looked_to or "")


@pytest.mark.parametrize(
    "text", ["", "x", "%%%", "é", cursor_of("order-1"), cursor_of("0" * 18 + "/"), "AAAA", "A" * 3000]
)
def test_what_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(BadCursor):
        position_of(text)


def test_orders_sort_by_when_they_were_placed_and_no_two_are_alike() -> None:
    moments = [
        datetime.min.replace(tzinfo=UTC),
        NOON,
        NOON + timedelta(microseconds=1),
        datetime.max.replace(tzinfo=UTC),
    ]
    positions = [position(moment, "order-1") for moment in moments]
    assert positions == sorted(positions)
    assert len({len(one) for one in positions}) == 1
    assert position(NOON, "order-1") != position(NOON, "order-2")
