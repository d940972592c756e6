"""Two writers of one order, and what an item is looked up by; in memory."""

import uuid
from collections.abc import Callable
from datetime import datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.states import OrderState
from events.timeline import SeenEvent, SeenEvents, seen, timeline_bytes
from producers.tracking import Contested, TimelineFull
from producers.tracking.item import KEPT, from_item, micros, part_of
from tests.events.test_timeline import (
    ACCEPT_BY,
    ACCEPTED,
    COMPLETED,
    EVERYTHING,
    MINUTE,
    NOTIFIED,
    PLACED,
    TOLD_READY,
    at,
    places,
    told,
)
from tests.support.fakes.tracker_table import FakeTrackerTable

ORDER = "order-1"


def test_what_another_writes_in_between_is_joined() -> None:
    table = FakeTrackerTable()
    orders = table.orders()
    placed, notified, accepted = places(PLACED, NOTIFIED, ACCEPTED)
    stale = orders.join(ORDER, seen([placed]))
    orders.join(ORDER, seen([notified]))
    order = orders.join(ORDER, seen([accepted]), stale)
    assert order.known == seen([placed, notified, accepted])
    assert orders.get(ORDER) == order
    assert order.version == 3


def test_of_two_who_write_an_order_first_neither_is_lost() -> None:
    table = FakeTrackerTable()
    placed, notified = places(PLACED, NOTIFIED)

    def another(_: str) -> None:
        table.before_put = lambda _: None
        table.orders().join(ORDER, seen([placed]))

    table.before_put = another
    assert table.orders().join(ORDER, seen([notified])).known == seen([placed, notified])


def test_one_who_never_comes_first_gives_up_and_says_so() -> None:
    table = FakeTrackerTable()
    number = iter(range(10, 1000))

    def another(_: str) -> None:
        there, table.before_put = table.before_put, lambda _: None
        event = msgspec.structs.replace(at(2, NOTIFIED), event_id=uuid.uuid4().hex, sequence=str(next(number)))
        table.orders().join(ORDER, seen([event]))
        table.before_put = there

    table.before_put = another
    with pytest.raises(Contested, match=r"20 times in a row\. fix: "):
        table.orders().join(ORDER, seen([at(1, PLACED)]))


def test_what_is_known_is_not_written_again() -> None:
    table = FakeTrackerTable()
    order = table.orders().join(ORDER, seen(places(PLACED, NOTIFIED)))
    assert table.orders().join(ORDER, seen([at(2, NOTIFIED), at(8, PLACED)])) == order
    assert table.writes == 1


@given(st.permutations(EVERYTHING), st.integers(0, len(EVERYTHING)), st.lists(st.booleans(), max_size=40))
def test_two_writers_come_to_the_same_bytes_as_one(delivered: list[SeenEvent], cut: int, turns: list[bool]) -> None:
    """Each has read the order before the other wrote it, or after, as chance has it; what comes is repeated."""
    table = FakeTrackerTable()
    orders = table.orders()
    stale = orders.get(ORDER)
    for number, event in enumerate([*delivered[:cut], *delivered]):
        if number < len(turns) and turns[number]:
            stale = orders.get(ORDER)
        orders.join(ORDER, seen([event]), stale)
    order = orders.get(ORDER)
    assert order is not None
    assert timeline_bytes(order.timeline) == timeline_bytes(told(EVERYTHING))


def test_an_item_is_read_as_it_was_written_and_has_no_name_in_it() -> None:
    table = FakeTrackerTable()
    order = table.orders(speed=60).join(ORDER, seen(places(PLACED, NOTIFIED)))
    item = table.items[ORDER]
    assert from_item(item, 60) == order
    assert {name: item[name] for name in ("customer_id", "restaurant_id", "state")} == {
        "customer_id": {"S": "customer-1"},
        "restaurant_id": {"S": "restaurant-1"},
        # That its restaurant was told is a fact beside the state.
        "state": {"S": "placed"},
    }
    assert b"Ada" not in repr(item).encode()


def stored(*events: SeenEvent, speed: float = 1.0) -> dict[str, dict[str, str]]:
    table = FakeTrackerTable()
    table.orders(speed=speed).join(ORDER, seen(events))
    found: dict[str, dict[str, str]] = table.items[ORDER]
    return found


@pytest.mark.parametrize(
    ("events", "due"),
    [
        # The restaurant's notifier has a minute.
        (lambda: [at(1, PLACED)], lambda: at(1, PLACED).arrived_at + MINUTE),
        (lambda: places(PLACED, NOTIFIED), lambda: ACCEPT_BY),
        (lambda: places(PLACED, NOTIFIED, ACCEPTED), lambda: at(3, ACCEPTED).arrived_at + MINUTE),
        (lambda: places(PLACED, NOTIFIED, COMPLETED, TOLD_READY), lambda: None),
    ],
)
def test_an_order_is_due_at_its_soonest_deadline_and_not_at_all_when_it_waits_for_nothing(
    events: Callable[[], list[SeenEvent]], due: Callable[[], datetime | None]
) -> None:
    item, due_at = stored(*events()), due()
    if due_at is None:
        assert not {"due_key", "due_at"} & item.keys()
    else:
        assert item["due_at"] == {"N": micros(due_at)}
        assert item["due_key"] == {"N": str(part_of(ORDER))}


def test_an_order_is_kept_for_a_while_after_its_last_event() -> None:
    table = FakeTrackerTable()
    table.orders().join(ORDER, seen([at(1, PLACED)]))
    last = at(9, COMPLETED)
    table.orders().join(ORDER, seen([last]))
    table.orders().join(ORDER, seen([at(2, NOTIFIED)]))
    assert table.items[ORDER]["expires_at"] == {"N": str(int((last.arrived_at + KEPT).timestamp()))}
    assert timedelta(days=90) == KEPT


def test_what_does_not_fit_into_an_item_is_refused_and_nothing_is_lost() -> None:
    table = FakeTrackerTable()
    order = table.orders().join(ORDER, seen([at(1, PLACED)]))
    huge = [
        msgspec.structs.replace(
            at(2, NOTIFIED), event_id=f"{n}", sequence=str(n), cause="".join(uuid.uuid4().hex for _ in range(20))
        )
        for n in range(2, 1_002)
    ]
    with pytest.raises(TimelineFull, match=r"fix: "):
        table.orders().join(ORDER, SeenEvents(tuple(huge)))
    assert table.orders().get(ORDER) == order


@pytest.mark.parametrize(("state", "looked_at"), [(None, 7), ("accepted", 400)])
def test_a_page_looks_at_so_many_orders_and_no_more(state: OrderState | None, looked_at: int) -> None:
    table = FakeTrackerTable()
    table.orders().all(limit=7, state=state)
    assert [query["Limit"] for query in table.queries] == [looked_at] * 16
    table.orders().of_customer("customer-1", limit=7, state=state)
    assert len(table.queries) == 17
