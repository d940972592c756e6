"""A timeline in words: eighty columns, whatever producers call things; and as facts, in full."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from consumers.steps import Attempts
from foundation.kinesis import SequenceNumber
from takeaway.trace import OrderFacts, as_facts, as_lines, not_found, timeline_of
from takeaway.trace.facts import Looked, Remembered, ShardRead, Sighting, Source, Unreadable
from tests.support.builders import NOON, an_envelope
from tests.takeaway.trace.an_order import (
    ACCEPTED,
    NOTIFIED,
    ORDER,
    PLACED,
    SHARD,
    TOLD,
    WHOLE,
    a_letter,
    an_effect,
    another,
    header,
    in_lake,
    place,
    seen,
    stored,
)

NOW = NOON + timedelta(minutes=20)
LOOKED = Looked(7, (ShardRead(SHARD, up_to_tip=True, since=NOON, since_first=True),), letters=3)
MUCH = OrderFacts(
    ORDER,
    (
        *seen(PLACED, 4955 * 10**52, Source.LAKE, at=NOON),
        *seen(PLACED, 4955 * 10**52 + 17, Source.STREAM, at=NOON + timedelta(seconds=2)),
        *seen(NOTIFIED, 4955 * 10**52 + 20, Source.STREAM, at=NOON + timedelta(seconds=5)),
        *seen(an_envelope(cause="c" * 128, order_id=ORDER), 4956 * 10**52, Source.STREAM, at=NOON - timedelta(days=1)),
        stored(ACCEPTED),
    ),
    unreadable=(Unreadable(place(6), NOON, "order_placed: Expected `str`, got `int` - at `$.currency`"),),
    set_apart=(
        a_letter(6, "archiver", attempts=5, failed_at=NOON),
        a_letter(4955 * 10**52, "restaurant_notifier", dropped=True, kind=None),
    ),
    remembered=(an_effect(PLACED, NOTIFIED), an_effect(ACCEPTED, TOLD)),
    archived={SHARD: SequenceNumber(str(4955 * 10**52 + 18))},
    looked=replace(LOOKED, letters_unread=2, not_looked=("the orders table: AccessDenied",)),
)


def test_a_good_order_in_words() -> None:
    lines = as_lines(timeline_of(replace(in_lake(*WHOLE), looked=LOOKED)), NOW)
    assert lines[0] == "order order-1 · ended with order_completed · 6 events"
    assert lines[2] == f"on {SHARD}"
    assert lines[5] == "12:00:00.000   +1.000 s  order_placed         orders-api           lake"
    assert lines[-5:] == [
        "",
        "next: nothing: order_completed ended it",
        "",
        "looked in the lake (version 7) · the orders table · 3 dead letters",
        f"  on {SHARD}",
    ]


def test_nothing_is_wider_than_eighty_columns_and_all_is_told() -> None:
    lines = as_lines(timeline_of(MUCH), NOW)
    assert max(map(len, lines)) <= 80
    text = " ".join(" ".join(lines).replace(" · ", " ").split())
    for part in (
        "1 repeat",
        "2 dead letters",
        "repeated at …00000017, +2.000 s: dropped, no row of the lake",
        "stored: ",
        "`takeaway dlq show orders/",
        "sns message message-1",
        "ses message mail-1",
        "at `$.currency`",
        "orders-api publishes order_accepted with the same request again",
        "restaurant_notifier tells restaurant_notified by 2026-03-13 12:01:00 24 h overdue",
        "owner: restaurants",
        "not looked in the orders table: AccessDenied",
        "2 dead letters could not be told",
    ):
        assert part in text, part


def test_names_of_other_producers_break_no_line_and_no_terminal() -> None:
    foreign = replace(MUCH, order_id="o" * 128 + "\n\x1b[2J")
    lines = as_lines(timeline_of(foreign), NOW)
    assert max(map(len, lines)) <= 80
    assert "\x1b" not in "".join(lines)


def test_clocks_thousands_of_years_apart_fit_too() -> None:
    end = datetime.max.replace(tzinfo=UTC)
    strange = header(an_envelope(occurred_at=datetime.min.replace(tzinfo=UTC)))
    facts = OrderFacts(ORDER, (Sighting(strange, Source.STREAM, place(1), end),))
    assert max(map(len, as_lines(timeline_of(facts), NOW))) <= 80


def test_as_facts_it_has_places_in_full_and_names_no_customer() -> None:
    facts = as_facts(timeline_of(MUCH), NOW)
    text = json.dumps(facts)
    assert str(4955 * 10**52 + 17) in text
    assert facts["next"][0]["overdue"] is True
    assert facts["looked"]["whole"] is False
    for customers in ("Ada", "Lovelace", "ada@example.com"):
        assert customers not in text
        assert customers not in "\n".join(as_lines(timeline_of(MUCH), NOW))


@pytest.mark.parametrize(
    ("read", "told"),
    [
        (ShardRead(SHARD, up_to_tip=False, last=NOON), f"time was up on {SHARD} at 2026-03-14 12:00:00"),
        (ShardRead(SHARD, up_to_tip=False), f"time was up on {SHARD} before its first record"),
        (ShardRead(SHARD, up_to_tip=True, since_first=False), "repeats and unreadable records"),
    ],
)
def test_what_was_not_read_in_time_is_said(read: ShardRead, told: str) -> None:
    facts = replace(in_lake(PLACED), looked=Looked(1, (read,)))
    text = " ".join(" ".join(as_lines(timeline_of(facts), NOW)).split())
    assert told in text
    assert "--seconds" in text
    assert as_facts(timeline_of(facts), NOW)["looked"]["whole"] is False


def test_an_unknown_order_is_told_with_where_it_was_looked_for() -> None:
    error = not_found(OrderFacts("order-9", looked=LOOKED))
    assert "'order-9'" in error.what
    assert f"the lake (version 7), the orders table, 3 dead letters, on {SHARD}" in error.what
    assert "--seconds" not in error.fix
    assert "no lake yet" in not_found(OrderFacts("order-9")).what
    unfinished = Looked(None, (ShardRead(SHARD, up_to_tip=False),))
    assert "--seconds" in not_found(OrderFacts("order-9", looked=unfinished)).fix


def test_an_order_that_was_never_placed_is_told_so() -> None:
    lines = as_lines(timeline_of(in_lake(NOTIFIED, another(ACCEPTED, "accept"))), NOW)
    assert lines[0] == "order order-1 · no placing of it was seen · 2 events"
    assert f"its cause {PLACED.event_id} was not seen" in " ".join(lines)


def test_attempts_of_an_effect_stand_where_it_took_more_than_one() -> None:
    attempts = Attempts(3, "Unavailable: SendEmail answered Throttling")
    remembered = (
        an_effect(PLACED, NOTIFIED),
        replace(an_effect(ACCEPTED, TOLD), attempts=attempts),
        Remembered("voucher_mailer", PLACED.event_id, None, attempts=Attempts(2)),
    )
    told = timeline_of(replace(in_lake(PLACED, NOTIFIED, ACCEPTED, TOLD), remembered=remembered))
    text = " ".join(" ".join(as_lines(told, NOW)).split())
    assert "ses message mail-1 after 3 attempts: Unavailable: SendEmail answered Throttling" in text.replace(" ·", "")
    assert "voucher_mailer did its part · after 2 attempts" in text
    assert text.count("attempts") == 2
    placed, notified, _, told_customer = as_facts(told, NOW)["events"]
    (effect,) = told_customer["effects"]
    assert (effect["attempts"], effect["last_failure"]) == (3, attempts.last_failure)
    assert (notified["effects"][0]["attempts"], notified["effects"][0]["last_failure"]) == (None, None)
    assert (placed["effects"][0]["tells"], placed["effects"][0]["attempts"]) == (None, 2)


def test_attempts_of_an_effect_whose_event_was_seen_nowhere_are_told_too() -> None:
    effect = replace(an_effect(ACCEPTED, TOLD), attempts=Attempts(2, "TimeoutError"))
    text = " ".join(" ".join(as_lines(timeline_of(replace(in_lake(ACCEPTED), remembered=(effect,))), NOW)).split())
    assert "user_notifier: ses message mail-1 · after 2 attempts: TimeoutError user_notified, which" in text
