"""The watcher: what is unanswered expires once, what is overdue is told once, whatever stood still meanwhile."""

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from foundation.clock import Clock
from foundation.dynamodb import MOST_OF_A_PART
from producers.deadlines.diagnostics import ExpiryRefused, NotWatched, OrderGivenUp, StepOverdue, WatcherStands
from producers.deadlines.judging import MARGIN
from producers.orders import CancelOrder, derive_order_id
from producers.tracking.item import part_of
from tests.producers.deadlines.flow import ACCEPT, ACCEPT_WITHIN, CUSTOMER, RESTAURANT, SHARD, Flow
from tests.support.fakes.clock import START

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
ACCEPT_BY = START + ACCEPT_WITHIN
SPEEDS = (1.0, 60.0, 3600.0)


def a_notified_order(flow: Flow) -> str:
    order_id = flow.place()
    flow.notify(order_id)
    flow.track()
    return order_id


def check(went_well: bool) -> None:
    assert went_well


def overdue(flow: Flow) -> list[tuple[str, str]]:
    return [(one.actor, one.tells) for one in flow.told if isinstance(one, StepOverdue)]


@pytest.mark.parametrize("speed", SPEEDS)
def test_an_order_that_is_accepted_at_the_last_second_does_not_expire(speed: float) -> None:
    flow = Flow(speed)
    order_id = a_notified_order(flow)
    watcher = flow.watcher()
    flow.pass_to(ACCEPT_BY - SECOND)
    assert watcher.look()
    flow.perform(order_id)
    flow.pass_to(ACCEPT_BY + SECOND)
    flow.track()
    assert watcher.look()
    assert flow.types(order_id) == ["order_placed", "restaurant_notified", "order_accepted"]
    assert flow.told == []


@pytest.mark.parametrize("speed", SPEEDS)
def test_an_order_that_is_unanswered_expires_once_though_nobody_asks(speed: float) -> None:
    flow = Flow(speed)
    order_id = a_notified_order(flow)
    watcher = flow.watcher()
    flow.pass_to(ACCEPT_BY)
    assert watcher.look()
    assert flow.types(order_id) == ["order_placed", "restaurant_notified"]
    flow.pass_to(ACCEPT_BY + SECOND)
    for _ in range(3):
        assert watcher.look()
    assert flow.types(order_id) == ["order_placed", "restaurant_notified", "order_expired"]
    assert flow.told == [OrderGivenUp(order_id, ACCEPT_BY, 1.0)]
    flow.track()
    flow.time.advance(30)
    assert flow.watcher().look()
    assert len(flow.told) == 1


def test_two_watchers_at_once_have_an_order_expire_once_and_tell_it_once() -> None:
    flow = Flow()
    order_id = a_notified_order(flow)
    flow.pass_to(ACCEPT_BY + SECOND)
    # The other one looks between this one's reading of the order and its command.
    assert flow.watcher(before_expiry=lambda: check(flow.watcher(1).look())).look()
    assert flow.types(order_id).count("order_expired") == 1
    assert flow.told == [OrderGivenUp(order_id, ACCEPT_BY, 1.0)]


def test_a_watcher_that_starts_hours_later_has_orders_expire_that_were_due_meanwhile() -> None:
    flow = Flow()
    order_id = a_notified_order(flow)
    flow.time.advance(7_200)
    assert flow.watcher().look()
    assert flow.types(order_id)[-1] == "order_expired"
    assert flow.told == [OrderGivenUp(order_id, ACCEPT_BY, 6_600.0)]


def test_an_order_expires_however_far_the_tracker_has_read() -> None:
    flow = Flow()
    order_id = flow.place()
    flow.track()
    flow.open_shards = ["a shard that nobody reads"]
    flow.pass_to(ACCEPT_BY + SECOND)
    assert flow.watcher().look()
    assert flow.types(order_id) == ["order_placed", "order_expired"]
    assert flow.told == [OrderGivenUp(order_id, ACCEPT_BY, 1.0)]


def test_an_answer_that_the_tracker_has_not_heard_of_is_told_once_and_not_asked_for_again() -> None:
    flow = Flow()
    order_id = a_notified_order(flow)
    flow.perform(order_id)
    flow.pass_to(ACCEPT_BY + SECOND)
    asked: list[bool] = []
    watcher = flow.watcher(before_expiry=lambda: asked.append(True))
    for _ in range(5):
        assert watcher.look()
        flow.time.advance(5)
    assert flow.told == [ExpiryRefused(order_id, "accepted")]
    assert len(asked) == 1
    flow.track()
    assert watcher.look()
    assert flow.types(order_id)[-1] == "order_accepted"


def test_an_order_that_the_orders_table_has_not_is_told_once_and_not_asked_for_again() -> None:
    flow = Flow()
    order_id = a_notified_order(flow)
    order = flow.orders.get(order_id)
    assert order
    flow.orders.remove(order)
    flow.pass_to(ACCEPT_BY + SECOND)
    for _ in range(3):
        assert flow.watcher().look()
    assert flow.told == [ExpiryRefused(order_id, "UnknownOrder")]


def test_an_order_without_accept_by_never_expires_and_its_restaurant_is_overdue() -> None:
    flow = Flow(accept_within=None)
    order_id = a_notified_order(flow)
    flow.time.advance(86_400)
    flow.track()
    assert flow.watcher().look()
    assert flow.types(order_id) == ["order_placed", "restaurant_notified"]
    assert overdue(flow) == [("restaurant", "order_accepted or order_rejected"), ("ordering", "order_expired")]
    assert flow.due_parts() == []


def test_a_watcher_whose_clock_is_ahead_comes_back_when_it_is_time() -> None:
    flow = Flow()
    order_id = a_notified_order(flow)
    ahead = Clock(now=lambda: flow.time.now() + MINUTE, monotonic=flow.time.monotonic)
    flow.pass_to(ACCEPT_BY - 30 * SECOND)
    # The write goes by the orders context's clock.
    watcher = flow.watcher(clock=ahead)
    watcher._ordering = flow.ordering()
    assert watcher.look()
    assert flow.told == [NotWatched(order_id, "TooEarly")]
    flow.time.advance(31)
    assert watcher.look()
    assert flow.types(order_id)[-1] == "order_expired"


def test_an_expiry_that_is_stored_and_not_published_is_asked_for_again() -> None:
    flow = Flow()
    order_id = a_notified_order(flow)
    flow.pass_to(ACCEPT_BY + SECOND)
    flow.stream_is_down = True
    watcher = flow.watcher()
    assert watcher.look()
    assert flow.told == [NotWatched(order_id, "Unacknowledged")]
    flow.stream_is_down = False
    flow.time.advance(3)
    assert watcher.look()
    assert flow.types(order_id)[-1] == "order_expired"
    assert [type(one) for one in flow.told] == [NotWatched, OrderGivenUp]


def test_no_step_is_overdue_before_the_tracker_has_read_past_its_deadline() -> None:
    flow = Flow()
    order_id = flow.place()
    flow.track()
    watcher = flow.watcher()
    flow.time.advance(60 + MARGIN.total_seconds())
    flow.track()
    # The notifier was in time, and the tracker has not read that yet.
    flow.time.advance(60)
    assert watcher.look()
    assert flow.told == []
    flow.track()
    flow.time.advance(5)
    assert watcher.look()
    [told] = flow.told
    assert isinstance(told, StepOverdue)
    assert replace(told, heard="") == StepOverdue(
        order_id,
        "restaurant_notifier",
        "restaurants",
        "restaurant_notified",
        "order_placed",
        heard="",
        since=START,
        due=START + MINUTE,
    )
    assert told.heard == flow.of(order_id)[0].event_id


def test_a_step_that_comes_while_it_is_asked_how_far_the_tracker_is_is_not_overdue() -> None:
    flow = Flow()
    order_id = flow.place()
    flow.track()
    flow.time.advance(59)
    flow.notify(order_id)
    flow.time.advance(60)
    assert flow.watcher(before_asking=flow.track).look()
    assert flow.told == []


def test_a_step_is_told_overdue_once_whatever_starts_again_and_the_next_deadline_comes() -> None:
    flow = Flow()
    order_id = flow.place()
    flow.track()
    for minutes in (2, 3, 9):
        flow.pass_to(START + minutes * MINUTE)
        flow.track()
        assert flow.watcher(minutes).look()
    assert overdue(flow) == [("restaurant_notifier", "restaurant_notified")]
    flow.pass_to(ACCEPT_BY + SECOND)
    assert flow.watcher().look()
    assert flow.types(order_id) == ["order_placed", "order_expired"]
    flow.track()
    flow.time.advance(300)
    flow.track()
    assert flow.watcher().look()
    # The customer is to hear of it, and the restaurant.
    assert overdue(flow)[1:] == [("user_notifier", "user_notified"), ("restaurant_notifier", "ticket_withdrawn")]
    assert flow.due_parts() == []


@pytest.mark.parametrize("speed", SPEEDS)
def test_people_are_overdue_by_the_speed_and_programs_are_not(speed: float) -> None:
    flow = Flow(speed)
    order_id = a_notified_order(flow)
    flow.perform(order_id)
    flow.track()
    food, mail = timedelta(hours=2) / speed, MINUTE
    for due, expected in sorted([(food, "order_completed"), (mail, "user_notified")]):
        before = {tells for _, tells in overdue(flow)}
        flow.pass_to(START + due + MARGIN)
        flow.track()
        assert flow.watcher().look()
        assert expected not in {tells for _, tells in overdue(flow)}
        flow.time.advance(1)
        flow.track()
        assert flow.watcher().look()
        assert {tells for _, tells in overdue(flow)} - before == {expected}


def test_a_step_that_is_late_and_done_when_it_is_looked_at_is_not_told() -> None:
    flow = Flow()
    order_id = flow.place()
    flow.track()
    flow.time.advance(120)
    flow.notify(order_id)
    flow.time.advance(5)
    flow.track()
    assert flow.watcher().look()
    assert flow.told == []


def test_a_shard_is_split_in_between_and_its_child_has_to_be_read() -> None:
    flow = Flow()
    order_id = flow.place()
    flow.track()
    flow.time.advance(30)
    flow.open_shards = ["child-1", "child-2"]
    flow.notify(order_id)
    # The parent was read to its end, and long after: what came behind is on a child.
    flow.time.advance(60)
    flow.table.shards().note(SHARD, flow.time.now())
    flow.table.shards().note("child-1", flow.time.now())
    watcher = flow.watcher()
    assert watcher.look()
    assert flow.told == []
    flow.time.advance(30)
    flow.track("child-2")
    assert watcher.look()
    assert flow.told == []
    flow.pass_to(ACCEPT_BY + SECOND)
    assert watcher.look()
    assert flow.types(order_id) == ["order_placed", "restaurant_notified", "order_expired"]


@pytest.mark.slow
def test_orders_of_which_the_tracker_says_too_little_keep_none_from_expiring() -> None:
    flow = Flow()
    keys = [key for key in (f"key-{number}" for number in range(2000)) if part_of(derive_order_id(CUSTOMER, key)) == 3]
    *many, last = keys[: MOST_OF_A_PART + 2]
    flow.accept_within = timedelta(hours=1)
    for key in many:
        flow.place(key)
    flow.time.advance(60)
    flow.accept_within = ACCEPT_WITHIN
    order_id = flow.place(last)
    flow.track()
    watcher = flow.watcher()
    # From now on the tracker stands.
    for _ in range(40):
        flow.time.advance(20)
        assert watcher.look()
    assert flow.types(order_id)[-1] == "order_expired"
    assert [type(one) for one in flow.told] == [OrderGivenUp]


def test_an_order_that_cannot_be_seen_to_holds_up_no_other() -> None:
    flow = Flow()
    first, second = flow.place("key-1"), flow.place("key-2")
    flow.track()
    flow.table.down = {first}
    flow.pass_to(ACCEPT_BY + SECOND)
    flow.told.clear()
    watcher = flow.watcher()
    watcher.look()
    assert flow.types(second)[-1] == "order_expired"
    flow.table.down = set()
    flow.time.advance(5)
    assert watcher.look()
    # Its expiry was given, and not noted: it is told when that works.
    assert flow.types(first).count("order_expired") == 1
    assert [one.order_id for one in flow.told if isinstance(one, OrderGivenUp)].count(first) == 1
    assert NotWatched(first, "EndpointConnectionError") in flow.told


def test_a_table_that_is_away_is_told_and_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    flow = Flow()
    order_id = a_notified_order(flow)
    flow.pass_to(ACCEPT_BY + SECOND)
    watcher = flow.watcher()

    def down(**_: Any) -> None:
        raise EndpointConnectionError(endpoint_url="http://tracker")

    with monkeypatch.context() as away:
        away.setattr(flow.table, "paginate", down)
        assert not watcher.look()
    assert flow.told == [WatcherStands("EndpointConnectionError")]
    assert watcher.look()
    assert flow.types(order_id)[-1] == "order_expired"


def test_a_watcher_looks_every_second_or_two_until_it_is_told_to_stop() -> None:
    flow = Flow()
    order_id = a_notified_order(flow)
    watcher, passes = flow.watcher(), flow.time.wait

    def for_eleven_minutes(seconds: float) -> bool:
        return passes(seconds) or flow.time.monotonic() > 660

    watcher._rounds._wait = for_eleven_minutes
    watcher.run()
    [expired] = [arrived for event, arrived in flow.stream if event.envelope.event_type == "order_expired"]
    assert ACCEPT_BY < expired <= ACCEPT_BY + 2 * SECOND
    assert flow.types(order_id)[-1] == "order_expired"


@pytest.mark.parametrize("seed", range(20))
def test_whatever_answers_watchers_and_trackers_do_an_order_has_one_outcome(seed: int) -> None:
    """Each in an order of chance, with pauses around accept_by; the tracker and each watcher may start late."""
    chance, flow = random.Random(seed), Flow(chance_of_speed(seed))
    order_id = flow.place()
    doing: list[Callable[[], object]] = [
        flow.track,
        flow.track,
        lambda: flow.watcher(chance.randrange(99)).look(),
        lambda: flow.watcher(chance.randrange(99)).look(),
        lambda: flow.perform(order_id, ACCEPT, RESTAURANT),
        lambda: flow.perform(order_id, CancelOrder(), CUSTOMER),
        lambda: flow.time.advance(chance.choice([1, 299, 300, 301, 599])),
        lambda: flow.time.advance(chance.choice([1, 299, 300, 301, 599])),
    ]
    chance.shuffle(doing)
    for does in doing:
        does()
    flow.track()
    flow.time.advance(700)
    assert flow.watcher().look()
    types = flow.types(order_id)
    assert len([one for one in types if one in ("order_accepted", "order_cancelled", "order_expired")]) == 1
    assert len([one for one in flow.told if isinstance(one, OrderGivenUp | ExpiryRefused)]) <= 1


def chance_of_speed(seed: int) -> float:
    return SPEEDS[seed % len(SPEEDS)]
