"""Open orders whose step is overdue: counted by step, told with the oldest, and only where that is certain."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from consumers.processing import Trouble
from events.timeline import seen
from takeaway.doctor.facts import Checkup, OpenOrders, OverdueStep, Problem
from takeaway.doctor.judge import findings, warnings
from takeaway.doctor.orders import open_orders
from takeaway.doctor.rows import order_rows
from takeaway.overdue import OpenLook
from tests.support.builders import NOON
from tests.support.fakes.tracker_table import FakeTrackerTable
from tests.support.timelines import PLACING, TOLD, after, now
from tests.takeaway.doctor.test_judge import STANDING, WELL, consumer

ACCEPTED = after(30, "order_accepted", "restaurant_notified")
MAIL = OverdueStep("user_notifier", "customers", ("user_notified",), 3, "order-7", now(90), now(95), by_person=False)
FOOD = replace(MAIL, actor="restaurant", owner="restaurants", tells=("order_completed",), by_person=True)
EXPIRY = replace(MAIL, actor="ordering", owner="ordering", tells=("order_expired",))


class Tracked:
    """A tracker's table; what was seen of each order, and how far its one shard was read."""

    def __init__(self, **orders: Any) -> None:
        self.table = FakeTrackerTable()
        for name, events in orders.items():
            self.table.orders().join(name, seen(events))

    def read_until(self, seconds: float, *, at: float = 10_000) -> OpenOrders:
        self.table.shards().note("shard-1", now(seconds))
        return self.at(at)

    def at(self, seconds: float) -> OpenOrders:
        look = OpenLook(self.table.orders(), self.table.shards(), lambda: ["shard-1"], 1.0)
        return open_orders(look, now(seconds))


def a_checkup(*overdue: OverdueStep, **changes: Any) -> Checkup:
    orders = replace(OpenOrders(count=3, looked_at=3, read_until=now(100), overdue=overdue), **changes)
    return replace(WELL, orders=orders, examined_at=now(150))


def test_overdue_steps_are_counted_by_whose_they_are_with_the_oldest() -> None:
    late = [PLACING, TOLD, ACCEPTED]
    found = Tracked(a=late, b=[*late], c=[PLACING]).read_until(100)
    assert (found.count, found.looked_at, found.more, found.read_until) == (3, 3, False, now(100))
    notice, mail = found.overdue
    assert (notice.actor, notice.orders, notice.oldest, notice.due) == ("restaurant_notifier", 1, "c", now(60))
    assert (mail.actor, mail.owner, mail.tells) == ("user_notifier", "customers", ("user_notified",))
    assert (mail.orders, mail.oldest, mail.due, mail.by_person) == (2, "a", now(90), False)


def test_orders_in_time_are_open_and_no_problem() -> None:
    found = Tracked(a=[PLACING]).read_until(60)
    assert (found.count, found.overdue) == (1, ())
    assert findings(a_checkup()) == warnings(a_checkup()) == ()


def test_while_the_tracker_is_behind_or_has_not_begun_nothing_is_overdue() -> None:
    tracked = Tracked(a=[PLACING])
    assert (tracked.at(10_000).overdue, tracked.at(10_000).read_until) == ((), None)
    assert tracked.read_until(61).overdue == ()
    assert len(tracked.read_until(63).overdue) == 1


def test_of_more_orders_than_are_read_the_count_is_the_least(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("takeaway.doctor.orders.MOST_READ", 2)
    found = Tracked(a=[PLACING], b=[PLACING], c=[PLACING]).read_until(100)
    assert (found.count, found.looked_at, found.overdue[0].orders) == (3, 2, 2)
    (problem,) = findings(replace(WELL, orders=found, examined_at=now(120)))
    assert problem.what.startswith("at least 2 open orders wait for restaurant_notifier to tell restaurant_notified")


def test_what_a_program_owes_is_a_problem_that_names_step_owner_oldest_and_fix() -> None:
    (problem,) = findings(a_checkup(MAIL))
    assert problem == Problem(
        "open orders",
        "3 open orders wait for user_notifier to tell user_notified, which is overdue (owner: customers); the oldest "
        "is order-7, due 60 s ago",
        "`takeaway trace order-7` shows the oldest, and its dead letter if there is one, to be redriven; "
        "`takeaway logs --errors user_notifier` says what failed",
    )
    (expiry,) = findings(a_checkup(replace(EXPIRY, orders=1)))
    assert expiry.what.startswith("1 open order waits for ordering to tell order_expired")
    assert expiry.fix.startswith("start the deadline watcher, `takeaway watch`")


def test_a_person_who_is_late_is_a_warning_and_so_is_what_nothing_tells_any_more() -> None:
    old = replace(MAIL, due=NOON - timedelta(days=3), newest_due=NOON - timedelta(days=2))
    ill = a_checkup(FOOD, old)
    assert findings(ill) == ()
    food, gone = warnings(ill)
    assert food.fix == "ask the restaurant: `takeaway trace order-7` shows the oldest, and which it is"
    assert "does not come by itself" in gone.fix
    # One of today is among them.
    assert len(findings(a_checkup(replace(old, newest_due=NOON)))) == 1


def test_what_follows_from_a_trouble_that_is_told_is_told_by_that() -> None:
    stands = consumer("user_notifier", replace(STANDING, trouble=Trouble("OSError: no route", NOON)))
    ill = replace(a_checkup(MAIL), consumers=(stands,))
    assert [one.section for one in findings(ill)] == ["consumers"]
    watcher = replace(WELL.processes[0], name="watcher", up=False)
    assert [one.section for one in findings(replace(a_checkup(EXPIRY), processes=(watcher,)))] == ["processes"]


def test_a_table_that_cannot_be_asked_is_a_problem_and_none_is_no_problem() -> None:
    (problem,) = findings(a_checkup(trouble="AccessDeniedException"))
    assert problem.what == "which orders are open could not be asked: AccessDeniedException"
    assert findings(replace(WELL, orders=None)) == warnings(replace(WELL, orders=None)) == ()


def test_the_facts_say_how_many_are_open_and_how_far_the_tracker_has_read() -> None:
    assert order_rows(a_checkup()) == [("3 open", "read by the tracker as of 50 s ago", "none overdue")]
    assert order_rows(a_checkup(read_until=None))[0][1] == "not all read by the tracker"
    assert order_rows(a_checkup(MAIL, looked_at=2))[1] == (
        "user_notifier",
        "user_notified",
        "of the oldest 2: overdue for 3 orders (customers)",
    )
    assert order_rows(a_checkup(trouble="refused")) == [("unknown", "", "")]
    assert order_rows(replace(WELL, orders=None)) == []
