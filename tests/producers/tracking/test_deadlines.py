"""What of an order is due, what of that is settled, and how far the tracker has read."""

from datetime import timedelta

import pytest

from events.envelope import EventEnvelope
from events.orders import Event
from events.timeline import SeenEvent, seen
from producers.tracking import OPEN_KEYS, Deadline, TrackedOrder
from producers.tracking.item import micros, part_of
from tests.events.test_timeline import (
    ACCEPT_BY,
    ACCEPTED,
    COMPLETED,
    MINUTE,
    NOTIFIED,
    PLACED,
    TOLD,
    TOLD_READY,
    at,
    places,
)
from tests.support.builders import NOON, an_envelope, an_order_placed
from tests.support.fakes.tracker_table import FakeTrackerTable

ORDER = "order-1"


def tracked(*events: SeenEvent) -> TrackedOrder:
    return FakeTrackerTable().orders().join(ORDER, seen(events))


def whose(deadlines: tuple[Deadline, ...]) -> list[str]:
    return [one.step.actor if one.step else "expiry" for one in deadlines]


def test_an_unanswered_order_is_due_at_accept_by_though_its_restaurant_was_never_told() -> None:
    late = at(1, PLACED, later=3600)
    assert tracked(late).deadlines[0] == Deadline(ACCEPT_BY)
    assert ACCEPT_BY not in [one.due for one in tracked(late, at(2, ACCEPTED)).deadlines]


def test_of_accept_by_the_expiry_comes_and_no_step_is_due_beside_it() -> None:
    assert whose(tracked(*places(PLACED, NOTIFIED)).deadlines) == ["expiry", "ordering"]


def test_an_order_without_accept_by_never_expires_and_its_restaurants_answer_is_due() -> None:
    old: EventEnvelope[Event] = an_envelope(an_order_placed())
    assert whose(tracked(at(1, old), at(2, NOTIFIED)).deadlines) == ["restaurant", "ordering"]


def test_a_deadline_has_one_mark_for_each_step_and_event_heard() -> None:
    deadlines = tracked(*places(PLACED)).deadlines
    assert whose(deadlines) == ["restaurant_notifier", "expiry", "ordering"]
    assert len({one.mark for one in deadlines}) == 3
    again = tracked(*places(PLACED), at(9, ACCEPTED)).deadlines
    assert {one.mark for one in again if one.step and one.step.actor == "restaurant_notifier"} == {deadlines[0].mark}
    (first, *_), (second, *_) = tracked(at(1, ACCEPTED)).deadlines, tracked(at(1, COMPLETED)).deadlines
    assert first.step
    assert second.step
    assert first.step.actor == second.step.actor
    assert first.mark != second.mark


def test_what_is_settled_is_due_no_more_and_the_next_deadline_is() -> None:
    table = FakeTrackerTable()
    order = table.orders().join(ORDER, seen(places(PLACED)))
    assert table.orders().settle(order, order.deadlines[:1]) == order.deadlines[:1]
    assert table.items[ORDER]["due_at"] == {"N": micros(ACCEPT_BY)}
    there = table.orders().get(ORDER)
    assert there
    assert there.deadlines == order.deadlines[1:]
    assert table.orders().settle(there, there.deadlines) == there.deadlines
    assert not {"due_at", "due_key"} & table.items[ORDER].keys()


def test_an_order_is_open_until_it_has_its_end_and_every_step_of_it_has_come() -> None:
    table = FakeTrackerTable()
    orders, key = table.orders(), part_of(ORDER)
    orders.join(ORDER, seen(places(PLACED, NOTIFIED, ACCEPTED, TOLD)))
    there = orders.get(ORDER)
    assert there
    orders.settle(there, there.deadlines)
    [found], more = orders.open(key)
    assert (found.order_id, found.state, found.placed_at, more) == (ORDER, "accepted", NOON, False), "nothing is due"
    orders.join(ORDER, seen([at(9, COMPLETED)]))
    assert [one.state for one in orders.open(key)[0]] == ["completed"], "its customer is not told yet"
    orders.join(ORDER, seen([at(10, TOLD_READY)]))
    assert orders.open(key) == ([], False)


def test_open_orders_are_listed_the_oldest_first() -> None:
    table = FakeTrackerTable()
    for number, order_id in ((2, "order-1"), (1, "order-17"), (3, "order-29")):
        placed = an_envelope(order_id=order_id, occurred_at=NOON + number * MINUTE)
        table.orders().join(order_id, seen([at(number, placed)]))
    found = [one for key in OPEN_KEYS for one in table.orders().open(key)[0]]
    assert {one.order_id for one in found} == {"order-1", "order-17", "order-29"}
    for key in OPEN_KEYS:
        moments = [one.placed_at for one in table.orders().open(key)[0]]
        assert moments == sorted(moments)


def test_what_is_settled_stays_so_when_more_is_seen_of_the_order() -> None:
    table = FakeTrackerTable()
    order = table.orders().join(ORDER, seen(places(PLACED)))
    table.orders().settle(order, order.deadlines)
    known = table.orders().join(ORDER, seen([at(2, NOTIFIED)]), order)
    assert known.deadlines == ()
    accepted = table.orders().join(ORDER, seen([at(3, ACCEPTED)]))
    assert whose(accepted.deadlines) == ["user_notifier", "restaurant"]
    assert table.orders().join(ORDER, seen([at(4, TOLD)])).deadlines[0].due == NOON + timedelta(hours=2, seconds=3)


def test_of_two_that_settle_a_deadline_one_hears_that_it_is_news() -> None:
    table = FakeTrackerTable()
    order = table.orders().join(ORDER, seen(places(PLACED)))
    news = [table.orders().settle(order, order.deadlines[:2]) for _ in range(2)]
    assert news == [order.deadlines[:2], ()]
    # What was known before is no news beside what was not.
    assert table.orders().settle(order, order.deadlines) == order.deadlines[2:]


def test_what_the_tracker_writes_in_between_stays() -> None:
    table = FakeTrackerTable()
    stale = table.orders().join(ORDER, seen(places(PLACED)))
    table.orders().join(ORDER, seen([at(2, NOTIFIED)]))
    assert table.orders().settle(stale, stale.deadlines[:1]) == stale.deadlines[:1]
    there = table.orders().get(ORDER)
    assert there
    assert there.known == seen([*places(PLACED), at(2, NOTIFIED)])


def test_an_order_that_is_forgotten_meanwhile_is_not_written_again() -> None:
    table = FakeTrackerTable()
    order = table.orders().join(ORDER, seen(places(PLACED)))
    table.items.clear()
    assert table.orders().settle(order, order.deadlines) == ()
    assert table.items == {}


def test_how_far_a_shard_is_read_only_grows_and_is_known_of_all_shards_or_of_none() -> None:
    shards = FakeTrackerTable().shards()
    shards.note("shard-1", NOON + MINUTE)
    shards.note("shard-1", NOON)
    assert shards.until(["shard-1"]) == NOON + MINUTE
    assert shards.until(["shard-1", "shard-2"]) is None
    shards.note("shard-2", NOON)
    assert shards.until(["shard-1", "shard-2"]) == NOON
    assert shards.until([]) is None


@pytest.mark.parametrize("order_id", ["shard-1", "x" * 128])
def test_no_order_can_be_taken_for_a_shard(order_id: str) -> None:
    table = FakeTrackerTable()
    table.shards().note("shard-1", NOON)
    table.orders().join(order_id, seen([at(1, PLACED)]))
    assert len(table.items) == 2
    [note] = [name for name in table.items if name != order_id]
    assert len(note) > 128
    assert not {"due_key", "all_key", "customer_id", "restaurant_id"} & table.items[note].keys()
