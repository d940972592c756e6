"""Journeys end as orders do, and their events are those that the API and the notifiers would have made."""

import itertools
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from events.choreography import handler_steps
from events.envelope import EventEnvelope
from events.orders import (
    Event,
    OrderAccepted,
    OrderCancelled,
    OrderCompleted,
    OrderExpired,
    OrderPlaced,
    OrderRejected,
    RestaurantNotified,
    TicketWithdrawn,
    UserNotified,
)
from events.wire import decoded, encode
from producers.load.ledger import expected_events
from producers.load.market.demand import WeekDemand
from producers.load.market.lifecycle import Journey, events, journeys
from producers.load.market.market import a_market, orders
from producers.load.market.scenarios import incident

pytestmark = pytest.mark.slow

START = datetime(2026, 6, 1, tzinfo=UTC)
# What people and the clock make of an order, by its outcome; what follows from that, the choreography says.
COMMANDED: dict[str, tuple[type[Event], ...]] = {
    "completed": (OrderPlaced, OrderAccepted, OrderCompleted),
    "rejected": (OrderPlaced, OrderRejected),
    "expired": (OrderPlaced, OrderExpired),
    "cancelled": (OrderPlaced, OrderCancelled),
}
# What goes by several orders is told by no history.
TOLD: set[type[Event]] = {RestaurantNotified, UserNotified, TicketWithdrawn}


@pytest.fixture(scope="module")
def many() -> list[Journey]:
    market = a_market(11, WeekDemand(1570))
    return list(journeys(market, orders(market, 4000)))


def told(journey: Journey) -> list[EventEnvelope[Event]]:
    return [event.envelope for event in events(journey, START)]


def test_every_outcome_has_its_events(many: list[Journey]) -> None:
    assert {journey.outcome for journey in many} == set(COMMANDED)
    for journey in many:
        heard = COMMANDED[journey.outcome]
        following = [event for one in heard for step in handler_steps(one) for event in step.publishes]
        expected = Counter([*heard, *(event for event in following if event in TOLD)])
        assert Counter(type(envelope.event) for envelope in told(journey)) == expected


def test_an_order_that_came_to_nothing_ends_in_its_time_and_both_sides_hear_of_it(
    many: list[Journey],
) -> None:
    for journey in many:
        by_type = {type(envelope.event): envelope for envelope in told(journey)}
        if journey.outcome == "cancelled":
            ended = by_type[OrderCancelled]
            assert journey.order.cancels_after
            assert ended.occurred_at - by_type[OrderPlaced].occurred_at == pytest.approx(
                journey.order.cancels_after, abs=timedelta(milliseconds=1)
            )
        elif journey.outcome == "expired":
            ended = by_type[OrderExpired]
            accept_by = by_type[OrderPlaced].occurred_at + timedelta(minutes=10)
            assert isinstance(ended.event, OrderExpired)
            assert ended.event.accept_by == accept_by
            assert accept_by <= ended.occurred_at < accept_by + timedelta(seconds=1)
        else:
            continue
        assert by_type[UserNotified].cause == by_type[TicketWithdrawn].cause == ended.event_id
        assert by_type[RestaurantNotified].occurred_at <= by_type[TicketWithdrawn].occurred_at


def test_some_restaurants_are_late_and_some_silent_and_some_customers_too_late(many: list[Journey]) -> None:
    expired = [journey for journey in many if journey.outcome == "expired"]
    assert any(journey.plan.silent for journey in expired)
    assert any(not journey.plan.silent for journey in expired)
    answered = [journey for journey in many if journey.outcome in {"completed", "rejected"}]
    assert any(journey.order.cancels_after for journey in answered)
    assert not any(journey.plan.silent for journey in answered)


def test_causes_come_before_what_they_bring_about_and_times_rise(many: list[Journey]) -> None:
    for journey in many[:1500]:
        told_at: dict[str, datetime] = {}
        for event in events(journey, START):
            envelope = event.envelope
            assert event == decoded(encode(envelope))
            cause_at = told_at.get(envelope.cause)
            assert cause_at is None or cause_at < envelope.occurred_at
            told_at[envelope.event_id] = envelope.occurred_at
        assert len({envelope.traceparent.split("-")[1] for envelope in told(journey)}) == 1


def test_events_have_the_ids_that_a_live_load_expects(many: list[Journey]) -> None:
    for journey in many[:200]:
        order = journey.order
        expected = expected_events(
            OrderPlaced,
            order.idempotency_key,
            order_id=order.order_id,
            restaurant_id=order.body.restaurant_id,
            intended_at=START,
        )
        assert [entry.event_id for entry in expected] == [envelope.event_id for envelope in told(journey)[:2]]


def test_a_forgotten_tap_comes_after_closing_with_the_others_of_the_day(many: list[Journey]) -> None:
    late = [journey for journey in many if journey.tapped_late]
    assert len(late) / len(many) == pytest.approx(0.02, abs=0.008)
    own = {one.restaurant_id: one for one in a_market(11, WeekDemand(1570)).restaurants}
    taps: dict[tuple[str, int], list[float]] = {}
    for journey in late:
        assert journey.ready is not None
        assert journey.completed is not None
        day, minute = divmod(journey.completed, 24 * 60)
        assert minute / 60 > own[journey.order.body.restaurant_id].closes
        taps.setdefault((journey.order.body.restaurant_id, int(day)), []).append(journey.completed)
    batches = [sorted(times) for times in taps.values() if len(times) > 1]
    assert batches
    for times in batches:
        assert all(0 < later - earlier < 60 for earlier, later in itertools.pairwise(times))


def test_a_notifier_outage_makes_a_backlog_and_orders_expire_unseen() -> None:
    market = a_market(5, WeekDemand(3000))
    happens = incident("notifier-outage", market, 1)
    day = [one for one in orders(market, 4000) if one.offset < timedelta(days=1)]
    calm, broken = (list(journeys(market, day, *given)) for given in ((), (happens,)))
    hit = [number for number, one in enumerate(calm) if happens.during(one.placed)]
    assert len(hit) > 100
    assert all(broken[number].restaurant_notified >= happens.until for number in hit)
    # Within a minute all of it has been told, the oldest first.
    notices = [broken[number].restaurant_notified for number in hit]
    assert max(notices) < happens.until + 1.5
    outcomes = [Counter(flow[number].outcome for number in hit) for flow in (calm, broken)]
    assert outcomes[1]["expired"] > len(hit) / 2 > 20 * outcomes[0]["expired"]
    for number in hit:
        # Neither a ticket nor its withdrawal goes out before that; customers are told in time.
        withdrawn = [one for one in told(broken[number]) if isinstance(one.event, TicketWithdrawn)]
        assert all(one.occurred_at >= START + timedelta(minutes=happens.until) for one in withdrawn)
    before = [number for number, one in enumerate(calm) if one.placed < happens.since - 120]
    assert [calm[number] for number in before] == [broken[number] for number in before]


def test_a_meltdown_is_one_kitchens() -> None:
    market = a_market(5, WeekDemand(3000))
    happens = incident("kitchen-meltdown", market, 1)
    [name] = happens.slow_kitchens
    day = [one for one in orders(market, 4000) if one.offset < timedelta(days=1)]
    calm, broken = (list(journeys(market, day, *given)) for given in ((), (happens,)))
    for was, now in zip(calm, broken, strict=True):
        if was.order.body.restaurant_id != name:
            assert was == now

    def too_busy(flow: list[Journey]) -> int:
        return sum(one.plan.turned_away for one in flow if one.order.body.restaurant_id == name)

    assert too_busy(broken) > too_busy(calm) + 5
