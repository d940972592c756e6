"""Journeys end as orders do, and their events are those that the API and the notifiers would have made."""

import itertools
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from events.envelope import EventEnvelope
from events.orders import Event, OrderPlaced
from events.wire import decoded, encode
from producers.load.ledger import expected_events
from producers.load.market.demand import WeekDemand
from producers.load.market.lifecycle import Journey, events, journeys
from producers.load.market.market import a_market, orders
from producers.load.market.scenarios import incident

pytestmark = pytest.mark.slow

START = datetime(2026, 6, 1, tzinfo=UTC)
ORDERS = {
    "completed": ["order_placed", "restaurant_notified", "order_accepted", "user_notified", "order_completed"],
    "rejected": ["order_placed", "restaurant_notified", "order_rejected", "user_notified"],
    "expired": ["order_placed", "restaurant_notified"],
    "cancelled": ["order_placed", "restaurant_notified"],
}


@pytest.fixture(scope="module")
def many() -> list[Journey]:
    market = a_market(11, WeekDemand(1570))
    return list(journeys(market, orders(market, 4000)))


def told(journey: Journey) -> list[EventEnvelope[Event]]:
    return [event.envelope for event in events(journey, START)]


def test_every_outcome_has_its_events(many: list[Journey]) -> None:
    assert {journey.outcome for journey in many} == set(ORDERS)
    for journey in many:
        names = [envelope.event_type for envelope in told(journey)]
        assert sorted(names) == sorted(ORDERS[journey.outcome])


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
    late = [journey for journey in many if journey.silently == "tapped_late"]
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


def test_a_notifier_outage_makes_a_backlog_and_late_answers() -> None:
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
    assert outcomes[1]["expired"] + outcomes[1]["rejected"] > 2 * (outcomes[0]["expired"] + outcomes[0]["rejected"])
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
