"""One order's timeline from what is known of it, whatever the order in which that was found."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from events.envelope import EventEnvelope
from events.orders import Event
from foundation.kinesis import SequenceNumber
from takeaway.trace.facts import OrderFacts, Source, Unreadable
from takeaway.trace.timeline import Timeline, Whereabouts, timeline_of
from tests.support.builders import NOON
from tests.takeaway.trace.an_order import (
    ACCEPTED,
    COMPLETED,
    NOTIFIED,
    ORDER,
    PLACED,
    REJECTED,
    SHARD,
    TOLD,
    TOLD_READY,
    WHOLE,
    a_letter,
    an_effect,
    another,
    in_lake,
    place,
    seen,
    stored,
)

EXPIRY = ("ordering", ("order_expired",))
ARCHIVED = {SHARD: SequenceNumber("10")}


def types(told: Timeline) -> list[str]:
    return [one.header.event_type for one in told.happenings]


def where(told: Timeline) -> list[Whereabouts]:
    return [one.whereabouts for one in told.happenings]


def test_a_good_order_ends_with_nothing_to_come() -> None:
    told = timeline_of(in_lake(*WHOLE))
    assert types(told) == [envelope.event_type for envelope in WHOLE]
    assert where(told) == [Whereabouts.LAKE] * 6
    because = [one.because_of for one in told.happenings]
    assert because == [None, "order_placed", None, "order_accepted", None, "order_completed"]
    assert (told.ended_by, told.upcoming, told.lacks_placing) == ("order_completed", (), False)
    assert len(told.trace_ids) == 1


def test_a_rejected_order_waits_for_no_completion() -> None:
    told = timeline_of(in_lake(PLACED, NOTIFIED, REJECTED))
    assert told.ended_by == "order_rejected"
    assert [(one.actor, one.tells) for one in told.upcoming] == [("user_notifier", ("user_notified",))]


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ((PLACED,), [("restaurant_notifier", ("restaurant_notified",)), EXPIRY]),
        ((PLACED, NOTIFIED), [("restaurant", ("order_accepted", "order_rejected")), EXPIRY]),
        (
            (PLACED, NOTIFIED, ACCEPTED),
            [("user_notifier", ("user_notified",)), ("restaurant", ("order_completed",))],
        ),
        ((PLACED, ACCEPTED, TOLD, COMPLETED, TOLD_READY), [("restaurant_notifier", ("restaurant_notified",))]),
    ],
)
def test_what_comes_next_and_whose_step_it_is(
    events: tuple[EventEnvelope[Event], ...], expected: list[tuple[str, tuple[str, ...]]]
) -> None:
    assert [(one.actor, one.tells) for one in timeline_of(in_lake(*events)).upcoming] == expected


def test_it_is_due_by_the_arrival_of_what_was_heard() -> None:
    late = OrderFacts(ORDER, tuple(seen(PLACED, 1, at=NOON + timedelta(hours=1))))
    due, _ = timeline_of(late).upcoming
    assert due.due == NOON + timedelta(hours=1, minutes=1)
    assert not due.is_overdue(due.due)
    assert due.is_overdue(due.due + timedelta(seconds=1))


def test_a_clock_at_the_end_of_the_calendar_is_due_then() -> None:
    end = datetime.max.replace(tzinfo=UTC)
    told = timeline_of(OrderFacts(ORDER, tuple(seen(PLACED, 1, at=end))))
    assert {due.due for due in told.upcoming} == {end}


def test_what_the_lake_does_not_have_yet_is_on_its_way() -> None:
    facts = OrderFacts(
        ORDER,
        (*seen(PLACED, 9, Source.LAKE, Source.STREAM), *seen(NOTIFIED, 11, Source.STREAM), stored(ACCEPTED)),
        archived=ARCHIVED,
    )
    told = timeline_of(facts)
    assert where(told) == [Whereabouts.LAKE, Whereabouts.ON_ITS_WAY, Whereabouts.STORED]
    assert told.happenings[0].repeats == ()


def test_what_is_stored_and_not_published_is_waited_for_by_none() -> None:
    told = timeline_of(OrderFacts(ORDER, (stored(PLACED),)))
    assert (where(told), told.upcoming) == ([Whereabouts.STORED], ())
    told = timeline_of(OrderFacts(ORDER, (*seen(PLACED, 1), *seen(NOTIFIED, 2), stored(ACCEPTED))))
    assert told.upcoming == ()
    told = timeline_of(OrderFacts(ORDER, (stored(PLACED, acknowledged=True),)))
    assert (where(told), [one.actor for one in told.upcoming]) == (
        [Whereabouts.UNSEEN],
        ["restaurant_notifier", "ordering"],
    )


def test_what_the_lake_is_past_is_set_apart_or_missing() -> None:
    facts = OrderFacts(
        ORDER,
        (*seen(PLACED, 3, Source.STREAM), *seen(NOTIFIED, 4, Source.STREAM)),
        set_apart=(a_letter(3, "archiver"), a_letter(4, "user_notifier")),
        archived=ARCHIVED,
    )
    told = timeline_of(facts)
    assert where(told) == [Whereabouts.SET_APART, Whereabouts.MISSING]
    assert [one.consumer for one in told.happenings[1].set_apart] == ["user_notifier"]


def test_a_repeat_is_told_beside_the_first_and_as_dropped_where_it_is_no_row() -> None:
    facts = OrderFacts(
        ORDER,
        (
            *seen(PLACED, 12, Source.STREAM),
            *seen(PLACED, 5, Source.STREAM),
            *seen(PLACED, 7, Source.LAKE, Source.STREAM),
            *seen(PLACED, 2, Source.LAKE),
        ),
        archived=ARCHIVED,
    )
    told = timeline_of(facts)
    (one,) = told.happenings
    assert one.place == place(2)
    repeats = [(repeat.place, repeat.dropped) for repeat in one.repeats]
    assert repeats == [(place(5), True), (place(7), False), (place(12), False)]


def test_an_event_counts_where_it_came_first_however_it_was_found() -> None:
    sightings = [one for number in (4, 1, 3, 2) for one in seen(PLACED, number, Source.LAKE, Source.STREAM)]
    sightings += [*seen(NOTIFIED, 5, Source.STREAM), stored(PLACED), *seen(ACCEPTED, 8)]
    facts = OrderFacts(ORDER, tuple(sightings), remembered=(an_effect(PLACED, NOTIFIED),), archived=ARCHIVED)
    expected = timeline_of(facts)
    assert expected.happenings[0].place == place(1)
    for seed in range(20):
        random.Random(seed).shuffle(sightings)
        assert timeline_of(replace(facts, sightings=tuple(sightings))) == expected


def test_events_stand_as_they_arrived_and_one_before_its_cause_is_told() -> None:
    facts = OrderFacts(ORDER, (*seen(TOLD, 1), *seen(ACCEPTED, 2), *seen(PLACED, 3)))
    told = timeline_of(facts)
    assert types(told) == ["user_notified", "order_accepted", "order_placed"]
    assert [one.before_its_cause for one in told.happenings] == [True, False, False]
    assert [one.because_of for one in told.happenings] == ["order_accepted", None, None]


def test_an_order_that_was_never_placed_lacks_that_and_the_cause_of_what_followed() -> None:
    told = timeline_of(in_lake(NOTIFIED, ACCEPTED))
    assert told.lacks_placing
    assert [one.lacks_cause for one in told.happenings] == [True, False]


def test_effects_stand_at_the_event_that_tells_them_or_alone() -> None:
    remembered = (an_effect(PLACED, NOTIFIED), an_effect(ACCEPTED, TOLD))
    told = timeline_of(replace(in_lake(PLACED, NOTIFIED, ACCEPTED), remembered=remembered))
    assert [[effect.message_id for effect in one.remembered] for one in told.happenings] == [[], ["message-1"], []]
    assert [effect.message_id for effect in told.untold] == ["mail-1"]


def test_what_is_no_event_and_letters_about_it_are_told_apart() -> None:
    bad = Unreadable(place(6), NOON, "order_placed: Expected `str` - at `$.currency`")
    facts = replace(in_lake(PLACED), unreadable=(bad,), set_apart=(a_letter(6), a_letter(1)))
    told = timeline_of(facts)
    assert told.unreadable == (bad,)
    assert [one.place for one in told.letters] == [place(6)]
    assert [one.place for one in told.happenings[0].set_apart] == [place(1)]


def test_two_acceptances_ask_for_two_letters_to_the_customer() -> None:
    other = another(ACCEPTED, "accept-again")
    told = timeline_of(in_lake(PLACED, NOTIFIED, ACCEPTED, other, TOLD))
    asked = [(one.actor, one.heard) for one in told.upcoming]
    assert asked == [("user_notifier", other.event_id), ("restaurant", ACCEPTED.event_id)]


def test_an_order_that_says_by_when_it_is_to_be_answered_is_expected_by_then() -> None:
    by = NOON + timedelta(minutes=4)
    sightings = [replace(seen(PLACED, 1)[0], accept_by=by), *seen(NOTIFIED, 2)]
    told = timeline_of(OrderFacts(ORDER, tuple(sightings)))
    assert [(one.actor, one.due) for one in told.upcoming] == [
        ("restaurant", by),
        ("ordering", by + timedelta(minutes=1)),
    ]
