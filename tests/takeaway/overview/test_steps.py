"""How long steps took, and what was missed, from timelines; pure."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any, cast

from events.states import ACCEPTED, COMPLETED, PLACED
from events.timeline import OrderTimeline, SeenEvent, order_timeline, seen
from producers.tracking import OpenOrder, ReadShards
from takeaway.overview.orders import FoundOpen, OrdersLook, open_orders, orders_told
from takeaway.overview.steps import missed_deadlines, step_times
from tests.support.builders import NOON
from tests.support.fakes.tracker_table import FakeTrackerTable


def after(seconds: float, event_type: str, cause: str = "key", **facts: Any) -> SeenEvent:
    return SeenEvent(
        event_id=event_type,
        event_type=event_type,
        occurred_at=NOON,
        cause=cause,
        arrived_at=NOON + timedelta(seconds=seconds),
        shard="shardId-000000000000",
        sequence=str(int(seconds * 10) + 1),
        **facts,
    )


def an_order(*events: SeenEvent, order_id: str = "order-1", speed: float = 1.0) -> OrderTimeline:
    return order_timeline(order_id, seen(events), speed=speed)


PLACING = after(0, "order_placed", customer_id="customer-1", restaurant_id="restaurant-1")
TOLD = after(3, "restaurant_notified", "order_placed")


def now(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def test_a_step_takes_from_the_arrival_of_what_was_heard_to_that_of_what_was_told() -> None:
    [step, *_] = step_times([an_order(PLACING, TOLD)], now(3))
    assert (step.actor, step.because_of, step.tells) == (
        "restaurant_notifier",
        "order_placed",
        ("restaurant_notified",),
    )
    assert (step.count, step.waiting, step.p95_seconds, step.within_seconds, step.share) == (1, 0, 3, 60, 0.05)


def test_the_slowest_is_the_one_that_takes_most_of_its_time_and_people_have_less_at_speed() -> None:
    accepted = after(33, "order_accepted", "restaurant_notified")
    slowest = step_times([an_order(PLACING, TOLD, accepted, speed=60)], now(33), speed=60)[0]
    assert (slowest.actor, slowest.p95_seconds, slowest.within_seconds) == ("restaurant", 30, 10)
    assert slowest.share == 3
    assert step_times([an_order(PLACING, TOLD, accepted)], now(33))[0].actor == "restaurant_notifier"


def test_what_stands_still_shows_though_nothing_of_it_is_done() -> None:
    waiting = [an_order(PLACING, order_id=f"order-{number}") for number in range(3)]
    slowest = step_times(waiting, now(45))[0]
    assert (slowest.actor, slowest.count, slowest.waiting, slowest.p95_seconds) == ("restaurant_notifier", 0, 3, 45)
    both = step_times([an_order(PLACING, TOLD), *waiting], now(45))
    assert next(one for one in both if one.actor == "restaurant_notifier").p95_seconds == 45


def test_what_was_due_as_far_as_the_tracker_has_read_is_missed() -> None:
    late = an_order(PLACING)
    [missed] = missed_deadlines([late], now(62.1))
    assert (missed.order_id, missed.actor, missed.owner, missed.due) == (
        "order-1",
        "restaurant_notifier",
        "restaurants",
        now(60),
    )
    # Arrival times are approximate.
    assert missed_deadlines([late], now(62)) == ()
    assert missed_deadlines([late], None) == ()


def test_what_comes_while_it_is_asked_how_far_the_tracker_is_is_not_missed() -> None:
    table = FakeTrackerTable()
    tracked, shards = table.orders(), table.shards()
    tracked.join("order-1", seen([PLACING]))

    class Advances:
        """The tracker reads on as it is asked."""

        def until(self, shard_ids: Collection[str]) -> datetime | None:
            tracked.join("order-1", seen([TOLD]))
            shards.note("shard-1", now(100))
            return shards.until(shard_ids)

    look = OrdersLook(tracked, cast("ReadShards", Advances()), lambda: ["shard-1"], 1.0)
    told = look.told(FoundOpen((OpenOrder("order-1", PLACED, now(0)),), more=False), [], now(101))
    assert (told.missed.count, told.missed.oldest) == (0, ())


def test_open_orders_are_those_without_an_end_by_state_with_the_oldest() -> None:
    found = [
        OpenOrder("order-1", PLACED, now(5)),
        OpenOrder("order-2", PLACED, now(1)),
        OpenOrder("order-3", ACCEPTED, now(9)),
        # Its customer is still to be told.
        OpenOrder("order-4", COMPLETED, now(0)),
    ]
    told = open_orders(found, more=False)
    assert told.by_state == {PLACED: 2, ACCEPTED: 1}
    assert {state: one.order_id for state, one in told.oldest.items()} == {PLACED: "order-2", ACCEPTED: "order-3"}


def test_without_orders_there_is_nothing_and_nothing_is_missed() -> None:
    told = orders_told([], [], [], now(0), reached=None, more=False, speed=1)
    assert (told.open.by_state, told.missed.count, told.missed.at_least, told.slowest) == ({}, 0, False, None)


def test_missed_deadlines_of_orders_that_were_not_read_are_not_denied() -> None:
    found = [OpenOrder(f"order-{number}", PLACED, now(number)) for number in range(1000)]
    told = orders_told(
        found, [an_order(PLACING, order_id="order-0")], ["order-0"], now(90), reached=now(99), more=False, speed=1
    )
    assert (told.missed.count, told.missed.at_least, told.missed.looked_at) == (1, True, 1)
