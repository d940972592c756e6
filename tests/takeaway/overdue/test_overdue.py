"""What is overdue is judged by how far the tracker had read before the order was; what it may not have read is not."""

from collections.abc import Collection
from datetime import datetime
from typing import cast

from events.timeline import seen
from producers.tracking import ReadShards
from takeaway.overdue.looking import OpenLook
from takeaway.overdue.steps import missed_deadlines
from tests.support.fakes.tracker_table import FakeTrackerTable
from tests.support.timelines import PLACING, TOLD, after, an_order, now


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

    look = OpenLook(tracked, cast("ReadShards", Advances()), lambda: ["shard-1"], 1.0)
    read = look.read(["order-1"], now(101))
    assert read.reached == now(100)
    assert missed_deadlines(read.timelines, read.reached) == ()


def test_nothing_is_known_of_what_comes_after_the_question_or_while_a_shard_is_not_begun() -> None:
    table = FakeTrackerTable()
    table.shards().note("shard-1", now(100))
    assert OpenLook(table.orders(), table.shards(), lambda: ["shard-1"], 1.0).read([], now(90)).reached == now(90)
    assert (
        OpenLook(table.orders(), table.shards(), lambda: ["shard-1", "shard-2"], 1.0).read([], now(90)).reached is None
    )


def test_that_an_order_was_not_answered_in_time_is_told_by_its_expiry_alone() -> None:
    waits = an_order(after(0, "order_placed", restaurant_id="restaurant-1", accept_by=now(600)), TOLD)
    assert missed_deadlines([waits], now(650)) == ()
    [expiry] = missed_deadlines([waits], now(663))
    assert (expiry.actor, expiry.tells) == ("ordering", ("order_expired",))
