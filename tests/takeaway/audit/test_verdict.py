from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from events import FINAL, OrderAccepted, OrderCancelled, OrderPlaced, derive_event_id
from foundation.kinesis.records import SequenceNumber, StreamPosition
from producers.load.ledger import LedgerWriter, expected_events
from producers.orders import ExpireOrder, Order, Performed, PlaceOrder, perform
from producers.orders import place as place_order
from takeaway.audit.evidence import intended_events, intended_times, ledger_facts
from takeaway.audit.facts import BadRecord, Effect, Evidence, Fact
from takeaway.audit.verdict import Audit, Bounds, audit
from tests.support.builders import NOON, an_order_item

PLACE = PlaceOrder(
    restaurant_id="restaurant-1",
    customer_name="Ada",
    customer_email="ada@example.com",
    items=(an_order_item(),),
    currency="EUR",
    city="Utrecht",
)


def place(number: int) -> StreamPosition:
    return "shardId-000000000000", SequenceNumber(str(number))


PLACED = Fact("placed-1", "order_placed", "order-1", place(1))
NOTIFIED = Fact("notified-1", "restaurant_notified", "order-1", place(2))
ACCEPTED = Fact("accepted-1", "order_accepted", "order-1", place(3))
TOLD = Fact("told-1", "user_notified", "order-1", place(4))
FACTS = (PLACED, NOTIFIED, ACCEPTED, TOLD)
TICKET, MAIL = Effect("ticket", "placed-1"), Effect("e-mail", "accepted-1")

CLEAN = Evidence(
    ledger=tuple(replace(fact, place=None) for fact in FACTS), stream=FACTS, effects=(TICKET, MAIL), lake=FACTS
)


def kinds(verdict: Audit) -> list[str]:
    return [finding.kind for finding in verdict.findings]


def test_a_clean_flow_passes_and_is_counted() -> None:
    verdict = audit(CLEAN)
    assert verdict.ok
    assert verdict.findings == ()
    assert verdict.receipt == (
        "1 orders · 4 events · 0 lost · 0 doubled · 0 repeated events · 0 bad events quarantined · 0 repeated effects"
        " · 1 still open"
    )


@pytest.mark.parametrize(
    ("changed", "kind", "named"),
    [
        (replace(CLEAN, stream=FACTS[:3], lake=FACTS[:3]), "lost", "user_notified told-1 of order order-1"),
        (replace(CLEAN, effects=(MAIL,)), "lost", "the ticket for order_placed placed-1"),
        (replace(CLEAN, effects=(TICKET,)), "lost", "the e-mail for order_accepted accepted-1"),
        (replace(CLEAN, lake=FACTS[1:]), "lost", "order_placed placed-1 of order order-1 at shardId-000000000000 1"),
        (replace(CLEAN, lake=(*FACTS, PLACED)), "doubled", "order_placed placed-1"),
        (replace(CLEAN, effects=(TICKET, TICKET, MAIL)), "repeated effect", "the ticket for order_placed placed-1"),
        (replace(CLEAN, effects=(TICKET, MAIL, MAIL)), "repeated effect", "the e-mail for order_accepted accepted-1"),
        (replace(CLEAN, effects=(TICKET, MAIL, Effect("ticket", "x"))), "unexpected", "order_placed x"),
        (replace(CLEAN, lake=(*FACTS, replace(TOLD, place=place(9)))), "unexpected", "user_notified told-1"),
        (replace(CLEAN, lake=(*FACTS[:3], replace(TOLD, event_id="x"))), "unexpected", "user_notified x"),
        (
            replace(CLEAN, unreadable=(BadRecord(place(7), frozenset({"archiver"})),)),
            "lost",
            "unreadable record at shardId-000000000000 7",
        ),
        (
            replace(CLEAN, letters={"archiver": frozenset({place(7)})}),
            "unexpected",
            "dead letter for shardId-000000000000 7",
        ),
    ],
)
def test_each_difference_is_found_and_named(changed: Evidence, kind: str, named: str) -> None:
    verdict = audit(changed)
    assert not verdict.ok
    assert kinds(verdict) == [kind]
    assert named in verdict.findings[0].what


def test_an_event_nobody_ordered_is_unexpected() -> None:
    stranger = Fact("stranger", "user_notified", "order-9", place(9))
    verdict = audit(replace(CLEAN, stream=(*FACTS, stranger), lake=(*FACTS, stranger)))
    assert kinds(verdict) == ["unexpected"]
    assert "user_notified stranger of order order-9" in verdict.findings[0].what


def test_an_event_published_twice_is_repeated_and_neither_lost_nor_doubled() -> None:
    again = replace(TOLD, place=place(5))
    verdict = audit(replace(CLEAN, stream=(*FACTS, again), lake=(*FACTS, again)))
    assert kinds(verdict) == ["repeated event"]
    assert not verdict.ok
    assert audit(replace(CLEAN, stream=(*FACTS, again), lake=(*FACTS, again)), Bounds(repeated_events=1)).ok


def test_a_repeat_that_the_lake_has_dropped_is_accounted_for_by_the_log_alone() -> None:
    again = replace(TOLD, place=place(5))
    dropped = replace(CLEAN, stream=(*FACTS, again), dropped=1)
    assert kinds(audit(dropped)) == ["repeated event"]
    assert audit(dropped, Bounds(repeated_events=1)).ok
    assert audit(dropped, Bounds(repeated_events=1), ignore_others=True).ok
    unsaid = audit(replace(dropped, dropped=0), Bounds(repeated_events=1))
    assert kinds(unsaid) == ["repeated event", "lost"]
    assert "user_notified told-1" in unsaid.findings[1].what
    assert kinds(audit(replace(CLEAN, dropped=2))) == ["unexpected"]
    both_gone = replace(dropped, lake=FACTS[:3], dropped=2)
    assert [finding.kind for finding in audit(both_gone).findings].count("lost") == 2


def test_a_command_without_an_answer_may_be_there_or_not() -> None:
    unsure = Fact("maybe", "order_placed", "order-2", certain=False)
    assert audit(replace(CLEAN, ledger=(*CLEAN.ledger, unsure))).ok
    there = replace(unsure, place=place(8))
    effects = (TICKET, MAIL, Effect("ticket", "maybe"))
    assert audit(
        Evidence(ledger=(*CLEAN.ledger, unsure), stream=(*FACTS, there), effects=effects, lake=(*FACTS, there))
    ).ok


def test_orders_of_others_can_be_left_out_with_all_they_caused() -> None:
    by_hand = Fact("by-hand", "order_placed", "order-9", place(9))
    answered = Fact("answered", "order_accepted", "order-9", place(10))
    mixed = Evidence(
        ledger=(*CLEAN.ledger, replace(answered, place=None)),
        stream=(*FACTS, by_hand, answered),
        effects=(TICKET, MAIL, Effect("ticket", "by-hand"), Effect("e-mail", "answered")),
        lake=(*FACTS, by_hand, answered),
    )
    assert kinds(audit(mixed)) == ["unexpected"]
    assert audit(mixed, ignore_others=True).ok
    assert audit(mixed, ignore_others=True).receipt.endswith("1 order of others left out")
    assert not audit(replace(mixed, lake=(by_hand, answered)), ignore_others=True).ok


def test_the_receipt_counts_the_orders_by_their_end() -> None:
    ends = [Fact(f"end-{state}", f"order_{state}", f"of-{state}", place(20 + at)) for at, state in enumerate(FINAL)]
    again = replace(ends[0], place=place(30))
    verdict = audit(replace(CLEAN, stream=(*FACTS, *ends, again)))
    assert verdict.outcomes == dict.fromkeys(FINAL, 1)
    assert verdict.receipt.startswith("5 orders · 1 completed · 1 rejected · 1 cancelled · 1 expired · 8 events · ")
    assert audit(CLEAN).receipt.startswith("1 orders · 4 events · ")


def test_an_order_is_open_until_it_is_completed_or_rejected() -> None:
    assert audit(CLEAN).open_orders == 1
    done = Fact("done-1", "order_completed", "order-1", place(5))
    ended = replace(CLEAN, ledger=(*CLEAN.ledger, done), stream=(*FACTS, done), lake=(*FACTS, done))
    assert audit(ended).open_orders == 0
    assert "open" not in audit(ended).receipt


@pytest.mark.parametrize("end", ["order_cancelled", "order_expired", "order_rejected"])
def test_an_order_that_came_to_nothing_is_neither_open_nor_lost_when_all_were_told(end: str) -> None:
    ended = Fact("ended-1", end, "order-1", place(3))
    facts = (PLACED, NOTIFIED, ended)
    effects = [TICKET, Effect("e-mail", "ended-1")]
    if end != "order_rejected":
        effects.append(Effect("withdrawal", "ended-1"))
    found = Evidence(
        ledger=facts[:2], stream=facts, effects=tuple(effects), lake=facts, intended=frozenset({"ended-1"})
    )
    assert (audit(found).findings, audit(found).open_orders) == ((), 0)
    for effect in effects[1:]:
        untold = replace(found, effects=tuple(one for one in effects if one is not effect))
        [missing] = audit(untold).findings
        assert missing.what.startswith(f"the {effect.kind} for {end} ended-1")
        twice = replace(found, effects=(*effects, effect))
        assert kinds(audit(twice)) == ["repeated effect"]


def test_what_time_brings_about_is_in_no_ledger_and_expected(tmp_path: Path) -> None:
    entries = expected_events(
        OrderPlaced, "key-1", order_id="order-1", restaurant_id="r", customer_id="c", intended_at=NOON
    )
    with LedgerWriter(tmp_path, "orders") as ledger:
        ledger.intend(entries)
    order = place_order(PLACE, customer_id="customer-1", idempotency_key="key-1", at=NOON, accept_within=timedelta(0))
    assert isinstance(order, Order)
    expired = perform(ExpireOrder(), order, subject=None, idempotency_key=None, at=NOON)
    assert isinstance(expired, Performed)
    of_this_order = derive_event_id("order-1", "order_expired", expired.envelope.cause)
    follow = [derive_event_id("order-1", told, of_this_order) for told in ("user_notified", "ticket_withdrawn")]
    assert intended_events(tmp_path) == {of_this_order, *follow, *(entry.event_id for entry in entries)}


def test_the_event_of_a_command_that_was_refused_is_unexpected(tmp_path: Path) -> None:
    entries = expected_events(OrderCancelled, "cancel", order_id="order-1", restaurant_id="r", intended_at=NOON)
    with LedgerWriter(tmp_path, "customers") as ledger:
        ledger.intend(entries)
        unsure = ledger_facts(tmp_path)
        ledger.refuse(entries, "accepted", NOON)
    there = Fact(entries[0].event_id, "order_cancelled", "order-1", place(8))
    told = (Effect("e-mail", there.event_id), Effect("withdrawal", there.event_id))
    found = replace(CLEAN, stream=(*FACTS, there), lake=(*FACTS, there), effects=(*CLEAN.effects, *told))
    assert audit(replace(found, ledger=(*CLEAN.ledger, *unsure))).ok
    refused = replace(found, ledger=(*CLEAN.ledger, *ledger_facts(tmp_path)), intended=intended_events(tmp_path))
    [finding] = audit(refused).findings
    assert (finding.kind, there.event_id in finding.what) == ("unexpected", True)


def test_no_load_meant_an_order_to_expire(tmp_path: Path) -> None:
    """So no mail about it is timed from a moment that has nothing to do with it."""
    entries = expected_events(OrderAccepted, "accept", order_id="order-1", restaurant_id="r", intended_at=NOON)
    with LedgerWriter(tmp_path, "restaurants") as ledger:
        ledger.refuse(entries, "expired", NOON)
    assert intended_times(tmp_path) == {}


def test_bounds_never_excuse_a_loss() -> None:
    verdict = audit(replace(CLEAN, effects=(MAIL,)), Bounds(repeated_events=10, repeated_effects=10))
    assert not verdict.ok
