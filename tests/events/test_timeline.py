"""An order made of what was seen of it: the same in whatever order it is seen, bounded, and odd things told."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.envelope import EventEnvelope, following
from events.next_steps import Heard, upcoming
from events.orders import Event, OrderCompleted, UserNotified
from events.timeline import (
    MOST_COUNTED,
    MOST_KEPT,
    SeenEvent,
    SeenEvents,
    joined,
    order_timeline,
    seen,
    seen_event,
    timeline_bytes,
)
from events.wire import encode, read
from tests.support.builders import (
    NOON,
    a_restaurant_notified,
    an_envelope,
    an_order_accepted,
    an_order_completed,
    an_order_placed,
)

ORDER = "order-1"
MINUTE = timedelta(minutes=1)
ACCEPT_BY = NOON + 10 * MINUTE
PLACED = an_envelope(an_order_placed(accept_by=ACCEPT_BY))
NOTIFIED = a_restaurant_notified(PLACED)
ACCEPTED = an_envelope(an_order_accepted(), cause="accept", occurred_at=NOON + 3 * MINUTE)
TOLD = following(
    ACCEPTED,
    UserNotified(customer_id="customer-1", channel="ses", message_id="mail-1"),
    occurred_at=NOON + 3 * MINUTE,
    producer="user_notifier",
)
COMPLETED = an_envelope(an_order_completed(), cause="complete", occurred_at=NOON + 30 * MINUTE)
TOLD_READY = following(
    COMPLETED,
    UserNotified(customer_id="customer-1", channel="ses", message_id="mail-2"),
    occurred_at=NOON + 30 * MINUTE,
    producer="user_notifier",
)
WHOLE = (PLACED, NOTIFIED, ACCEPTED, TOLD, COMPLETED, TOLD_READY)


def at(number: int, envelope: EventEnvelope[Any], *, shard: str = "shard-1", later: float = 0.0) -> SeenEvent:
    """The event at that place; it arrived so many seconds after noon."""
    header, event = read(encode(envelope))
    return seen_event(
        header,
        event,
        arrived_at=NOON + timedelta(seconds=number + later),
        shard=shard,
        sequence=str(number),
        sub=0,
    )


def places(*envelopes: EventEnvelope[Any]) -> list[SeenEvent]:
    return [at(number, envelope) for number, envelope in enumerate(envelopes, 1)]


def told(events: Sequence[SeenEvent], **how: Any) -> Any:
    return order_timeline(ORDER, seen(events), **how)


def waiting(events: Sequence[SeenEvent], **how: Any) -> list[tuple[str, tuple[str, ...], datetime]]:
    return [(one.actor, one.tells, one.due) for one in told(events, **how).waits_for]


def test_an_order_is_told_from_its_placing_to_its_end() -> None:
    whole = told(places(*WHOLE))
    assert [one.event_type for one in whole.events] == [
        "order_placed",
        "restaurant_notified",
        "order_accepted",
        "user_notified",
        "order_completed",
        "user_notified",
    ]
    assert (whole.state, whole.count, whole.waits_for) == ("completed", 6, ())
    assert (whole.customer_id, whole.restaurant_id) == ("customer-1", "restaurant-1")
    assert (whole.placed_at, whole.accept_by) == (NOON, ACCEPT_BY)
    assert whole.ready_at == NOON + 20 * MINUTE
    because = [None, "order_placed", None, "order_accepted", None, "order_completed"]
    assert [one.because_of for one in whole.events] == because
    assert not any(one.lacks_cause or one.before_its_cause for one in whole.events)
    assert not whole.lacks_placing


def test_names_and_addresses_are_in_no_timeline() -> None:
    known = seen(places(*WHOLE))
    for text in (timeline_bytes(order_timeline(ORDER, known)), msgspec.json.encode(known)):
        assert b"Ada" not in text
        assert b"ada@" not in text


# Events, some of them at two places, on two shards; one of a type that no release here knows.
UNKNOWN = msgspec.structs.replace(at(7, COMPLETED), event_id="new", event_type="order_rated")
EVERYTHING = (
    *places(*WHOLE),
    at(6, PLACED),
    at(8, ACCEPTED, shard="shard-2"),
    at(1, ACCEPTED, shard="shard-0"),
    UNKNOWN,
    msgspec.structs.replace(at(3, ACCEPTED), ready_at=None),
)


@given(st.lists(st.sampled_from(EVERYTHING)), st.randoms(use_true_random=False))
def test_joining_is_idempotent_commutative_and_associative(chosen: list[SeenEvent], random: Any) -> None:
    cut, other = sorted(random.randint(0, len(chosen)) for _ in range(2))
    one, two, three = seen(chosen[:cut]), seen(chosen[cut:other]), seen(chosen[other:])
    assert (
        joined(joined(one, two), three)
        == joined(one, joined(three, two))
        == seen(chosen)
        == joined(*(seen(chosen),) * 2)
    )
    assert joined(one, joined(one, two)) == joined(two, one)


@given(st.permutations(EVERYTHING))
def test_any_order_of_delivery_gives_the_same_bytes(delivered: list[SeenEvent]) -> None:
    known = SeenEvents()
    for one in delivered:
        known = joined(known, seen([one, one]))
    assert timeline_bytes(order_timeline(ORDER, known)) == timeline_bytes(told(EVERYTHING))


def test_the_first_place_counts_whichever_is_seen_first() -> None:
    first, again = at(1, PLACED), at(9, PLACED)
    for delivered in ([first, again], [again, first]):
        [kept] = seen(delivered).events
        assert kept == first


def test_of_two_readings_of_one_place_the_one_that_knows_more_counts() -> None:
    knows = at(3, ACCEPTED)
    less = msgspec.structs.replace(knows, ready_at=None, customer_id=None)
    for delivered in ([knows, less], [less, knows]):
        assert seen(delivered).events == (knows,)


def a_flood(count: int, first: int = 10) -> list[SeenEvent]:
    pattern = at(first, TOLD)
    return [
        msgspec.structs.replace(pattern, event_id=f"flood-{n}", sequence=str(n), arrived_at=NOON + timedelta(seconds=n))
        for n in range(first, first + count)
    ]


@pytest.mark.slow
def test_a_timeline_of_ten_thousand_events_is_bounded_counted_and_ends_as_it_did() -> None:
    flood = a_flood(9_997)
    events = [*places(PLACED, ACCEPTED), *flood, at(20_000, COMPLETED)]
    known = SeenEvents()
    for start in range(0, len(events), 500):
        known = joined(known, seen(events[start : start + 500]))
    assert known == joined(*(seen(events[start : start + 700]) for start in reversed(range(0, len(events), 700))))
    whole = order_timeline(ORDER, known)
    assert whole.count == MOST_COUNTED
    assert len(whole.events) == MOST_KEPT + 1
    assert whole.state == "completed"
    assert joined(known, seen(flood[-300:])) == known


def test_what_is_dropped_of_a_long_timeline_is_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("events.timeline.MOST_KEPT", 5)
    events = [*places(PLACED, ACCEPTED), *a_flood(8), at(99, COMPLETED)]
    known = seen(events)
    assert (len(known.events), known.count) == (6, 11)
    assert joined(known, seen(events[4:])) == known
    assert joined(seen(events[6:]), seen(events[:7])) == known
    assert [one.event_type for one in known.events][-1] == "order_completed"


def test_what_an_order_waits_for_since_when_by_when_and_whose_step_it_is() -> None:
    placed, notified = at(1, PLACED), at(2, NOTIFIED)
    [notice, expiry] = told([placed]).waits_for
    assert (notice.actor, notice.owner, notice.tells) == (
        "restaurant_notifier",
        "restaurants",
        ("restaurant_notified",),
    )
    assert (notice.since, notice.due) == (placed.arrived_at, placed.arrived_at + MINUTE)
    assert (expiry.actor, expiry.due) == ("ordering", ACCEPT_BY + MINUTE)
    assert waiting([placed, notified]) == [
        ("restaurant", ("order_accepted", "order_rejected"), ACCEPT_BY),
        ("ordering", ("order_expired",), ACCEPT_BY + MINUTE),
    ]


def test_people_have_less_time_at_speed_and_programs_do_not() -> None:
    accepted = at(3, ACCEPTED)
    dues = {actor: due for actor, _, due in waiting([at(1, PLACED), at(2, NOTIFIED), accepted], speed=60)}
    assert dues["user_notifier"] == accepted.arrived_at + MINUTE
    assert dues["restaurant"] == accepted.arrived_at + 2 * MINUTE


def test_accept_by_is_a_deadline_at_any_speed() -> None:
    for speed in (1.0, 60.0, 3600.0):
        dues = {actor: due for actor, _, due in waiting([at(1, PLACED), at(2, NOTIFIED)], speed=speed)}
        assert (dues["restaurant"], dues["ordering"]) == (ACCEPT_BY, ACCEPT_BY + MINUTE)


def test_an_order_that_does_not_say_by_when_has_what_any_speed_leaves_for_an_answer() -> None:
    placed = at(1, an_envelope(an_order_placed()))
    notified = at(2, NOTIFIED)
    for speed, seconds in ((1.0, 600), (10.0, 60), (3600.0, 20)):
        dues = {actor: due for actor, _, due in waiting([placed, notified], speed=speed)}
        assert dues["restaurant"] == notified.arrived_at + timedelta(seconds=seconds)
        assert dues["ordering"] == placed.arrived_at + timedelta(seconds=seconds) + MINUTE


def test_deadlines_go_by_arrival_whatever_an_events_own_clock_says() -> None:
    years_late = an_envelope(an_order_placed(), occurred_at=datetime.fromisoformat("1999-01-01T00:00:00Z"))
    placed = at(1, years_late)
    assert waiting([placed])[0][2] == placed.arrived_at + MINUTE


def test_an_order_that_nobody_placed_and_what_came_before_its_cause_are_told_as_such() -> None:
    odd = told([at(1, TOLD), at(2, ACCEPTED), at(3, NOTIFIED)])
    assert odd.lacks_placing
    assert (odd.placed_at, odd.accept_by) == (None, None)
    assert [(one.event_type, one.before_its_cause, one.lacks_cause) for one in odd.events] == [
        ("user_notified", True, False),
        ("order_accepted", False, False),
        ("restaurant_notified", False, True),
    ]


def test_an_event_of_an_unknown_type_is_kept_as_its_header_says() -> None:
    whole = told([at(1, PLACED), UNKNOWN])
    assert [one.event_type for one in whole.events] == ["order_placed", "order_rated"]
    assert whole.state == "placed"


def test_ten_thousand_unanswered_events_are_looked_at_once_each() -> None:
    """Not each against each other."""

    class Counted(str):
        compared = 0

        def __eq__(self, other: object) -> bool:
            Counted.compared += 1
            return str.__eq__(self, other)

        __hash__ = str.__hash__

    heard = [Heard(f"id-{n}", Counted("order_accepted"), f"cause-{n}", NOON) for n in range(300)]
    assert len([one for one in upcoming(heard) if one.actor == "user_notifier"]) == 300
    assert Counted.compared < 300 * 60


def test_an_order_that_was_completed_waits_for_no_command_though_an_event_is_missing() -> None:
    event: Event = OrderCompleted(restaurant_id="restaurant-1", customer_id="customer-1", total=1, currency="EUR")
    [(actor, *_)] = waiting([at(1, an_envelope(event, cause="complete"))])
    assert actor == "user_notifier"
