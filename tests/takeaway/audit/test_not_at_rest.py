"""A flow that goes on while it is audited: nothing is called lost that is only late, and what is gone is named."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumers.specs import CONSUMERS, ConsumerSpec
from events import ARCHIVER
from foundation.kinesis import HashKeyRange, Position, Sentinel, SequenceNumber, Shard, StreamPosition
from takeaway.audit.account import End
from takeaway.audit.evidence import paces
from takeaway.audit.facts import BadRecord, Effect, Evidence, Fact
from takeaway.audit.rest import with_ended
from takeaway.audit.verdict import LOST, Audit, audit

NOW = datetime(2026, 11, 23, 18, 0, tzinfo=UTC)
SHARD = "shardId-000000000000"
NOTIFIERS = {
    "restaurant_notifier": ("order_placed", "ticket"),
    "user_notifier": ("order_accepted", "e-mail"),
    "voucher_mailer": ("voucher_issued", "e-mail"),
}
TELLS = {"order_placed": "restaurant_notified", "order_accepted": "user_notified"}


def place(number: int) -> StreamPosition:
    return SHARD, SequenceNumber(str(number))


@dataclass
class Flow:
    """A flow in small: a ledger, a stream, two notifiers and the archiver, each doing its next thing when asked."""

    ledger: list[Fact] = field(default_factory=list)
    stream: list[Fact | BadRecord] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    lake: list[Fact] = field(default_factory=list)
    letters: dict[str, set[StreamPosition]] = field(default_factory=dict)
    dropped: int = 0
    done: dict[str, int] = field(default_factory=dict)

    def order(self, event_type: str, number: int, *, acknowledged: bool) -> None:
        """A command: written down as intended, published, and acknowledged or not."""
        event = Fact(f"{event_type}-{number}", event_type, f"order-{number}", certain=False)
        told = replace(
            event, event_id=f"{event.event_id}-told", event_type=TELLS[event_type], because_of=event.event_id
        )
        self.ledger += [event, told]
        self._publish(event)
        if acknowledged:
            self.ledger[-2:] = [replace(one, certain=True, at=NOW) for one in (event, told)]

    def bad(self) -> None:
        self.stream.append(BadRecord(place(len(self.stream)), frozenset({ARCHIVER}), NOW))

    def notify(self, consumer: str) -> None:
        """The next record of a notifier: its effect, what it tells, then its checkpoint."""
        event_type, kind = NOTIFIERS[consumer]
        heard = self._next(consumer)
        if isinstance(heard, Fact) and heard.event_type == event_type:
            self.effects.append(Effect(kind, heard.event_id, NOW))
            told = TELLS[event_type]
            self._publish(Fact(f"{heard.event_id}-told", told, heard.order_id, because_of=heard.event_id))
        self._did(consumer, heard)

    def archive(self) -> None:
        heard = self._next(ARCHIVER)
        if isinstance(heard, BadRecord):
            self.letters.setdefault(ARCHIVER, set()).add(heard.place)
        elif heard is not None and heard.event_id in {row.event_id for row in self.lake}:
            self.dropped += 1
        elif heard is not None:
            self.lake.append(heard)
        self._did(ARCHIVER, heard)

    def reached(self, consumer: str) -> dict[str, Position]:
        done = self.done.get(consumer, 0)
        return {SHARD: place(done - 1)[1] if done else Sentinel.TRIM_HORIZON}

    def _publish(self, event: Fact) -> None:
        self.stream.append(replace(event, place=place(len(self.stream)), certain=True, at=NOW))

    def _next(self, consumer: str) -> Fact | BadRecord | None:
        done = self.done.get(consumer, 0)
        return self.stream[done] if done < len(self.stream) else None

    def _did(self, consumer: str, heard: Fact | BadRecord | None) -> None:
        if heard is not None:
            self.done[consumer] = self.done.get(consumer, 0) + 1


class Look:
    """Reads a flow's evidence part by part, in the order of `gather`."""

    def __init__(self, flow: Flow) -> None:
        self._flow = flow
        self._seen: dict[str, Any] = {}
        self._parts = iter([self._ledger, self._checkpoints, self._effects, self._lake, self._letters, self._stream])

    def look(self) -> None:
        part = next(self._parts, None)
        if part is not None:
            part()

    def evidence(self) -> Evidence:
        for part in self._parts:
            part()
        return Evidence(
            **self._seen,
            intended=frozenset(fact.event_id for fact in self._flow.ledger),
            looked_at=NOW + timedelta(minutes=5),
        )

    def _ledger(self) -> None:
        self._seen["ledger"] = tuple(self._flow.ledger)

    def _checkpoints(self) -> None:
        self._seen["reached"] = {consumer: self._flow.reached(consumer) for consumer in NOTIFIERS}

    def _effects(self) -> None:
        self._seen["effects"] = tuple(self._flow.effects)

    def _lake(self) -> None:
        self._seen["lake"], self._seen["dropped"] = tuple(self._flow.lake), self._flow.dropped
        self._seen["reached"] = {**self._seen["reached"], ARCHIVER: self._flow.reached(ARCHIVER)}

    def _letters(self) -> None:
        self._seen["letters"] = {consumer: frozenset(places) for consumer, places in self._flow.letters.items()}

    def _stream(self) -> None:
        on_it = self._flow.stream
        self._seen["stream"] = tuple(one for one in on_it if isinstance(one, Fact))
        self._seen["unreadable"] = tuple(one for one in on_it if isinstance(one, BadRecord))


ACTIONS = ("place", "accept", "unanswered", "bad", "restaurant_notifier", "user_notifier", "archive", "look")


def act(flow: Flow, look: Look, action: str, number: int) -> None:
    if action == "look":
        look.look()
    elif action == "bad":
        flow.bad()
    elif action == "archive":
        flow.archive()
    elif action in NOTIFIERS:
        flow.notify(action)
    else:
        flow.order(
            "order_accepted" if action == "accept" else "order_placed", number, acknowledged=action != "unanswered"
        )


def come_to_rest(flow: Flow) -> None:
    while any(flow.done.get(consumer, 0) < len(flow.stream) for consumer in (*NOTIFIERS, ARCHIVER)):
        for consumer in NOTIFIERS:
            flow.notify(consumer)
        flow.archive()


@pytest.mark.slow
@given(actions=st.lists(st.sampled_from(ACTIONS), max_size=60))
@settings(max_examples=400, deadline=None)
def test_an_audit_at_any_moment_of_a_sound_flow_finds_nothing(actions: list[str]) -> None:
    flow = Flow()
    look = Look(flow)
    for number, action in enumerate(actions):
        act(flow, look, action, number)
    assert audit(look.evidence()).findings == ()
    come_to_rest(flow)
    verdict = audit(Look(flow).evidence())
    assert verdict.findings == ()
    assert verdict.at_rest, verdict.waiting_for
    for account in verdict.accounts:
        assert account.records == len(flow.stream)
        assert not account.counts.get(End.LOST, 0) + account.counts.get(End.WAITING, 0)


@pytest.mark.slow
@given(data=st.data(), actions=st.lists(st.sampled_from(ACTIONS[:-1]), min_size=1, max_size=40))
@settings(max_examples=300, deadline=None)
def test_what_is_taken_away_is_named_as_soon_as_its_consumer_is_past_it(
    data: st.DataObject, actions: list[str]
) -> None:
    flow = Flow()
    for number, action in enumerate(actions):
        act(flow, Look(flow), action, number)
    come_to_rest(flow)
    whole = Look(flow).evidence()
    assert not audit(whole).findings
    kinds = [kind for kind in ("stream", "lake", "effects") if getattr(whole, kind)]
    if not kinds:
        return
    kind = data.draw(st.sampled_from(kinds))
    there = getattr(whole, kind)
    gone = data.draw(st.integers(0, len(there) - 1))
    verdict = audit(replace(whole, **{kind: there[:gone] + there[gone + 1 :]}))
    assert not verdict.ok or not next(fact for fact in whole.ledger if fact.event_id == there[gone].event_id).certain
    assert kind == "stream" or any(
        there[gone].event_id in finding.what for finding in verdict.findings if finding.kind == LOST
    )


PLACED = Fact("placed-1", "order_placed", "order-1", place(1), at=NOW)
TOLD = Fact("told-1", "restaurant_notified", "order-1", place(2), at=NOW, because_of="placed-1")
TICKET = Effect("ticket", "placed-1")


def evidence(**changed: Any) -> Evidence:
    """An order that was placed, told to its restaurant and archived, looked at five minutes later."""
    told: dict[str, Any] = {
        "ledger": (replace(PLACED, place=None), replace(TOLD, place=None)),
        "stream": (PLACED, TOLD),
    }
    done: dict[str, Any] = {"effects": (TICKET,), "lake": (PLACED, TOLD), "looked_at": NOW + timedelta(minutes=5)}
    everywhere = reached(**dict.fromkeys((*NOTIFIERS, ARCHIVER), 2))
    return Evidence(**{**told, **done, "reached": everywhere, **changed})


def reached(**numbers: int) -> dict[str, dict[str, Position]]:
    return {consumer: {SHARD: place(number)[1]} for consumer, number in numbers.items()}


def waits(verdict: Audit) -> list[str]:
    return [one.for_what for one in verdict.waits]


def test_what_a_consumer_has_not_come_to_is_waited_for_by_name() -> None:
    verdict = audit(evidence(lake=(PLACED,), reached=reached(**dict.fromkeys(NOTIFIERS, 2), archiver=1)))
    assert verdict.ok
    assert not verdict.at_rest
    assert verdict.receipt.endswith("not at rest yet")
    (line,) = verdict.waiting_for
    assert line == f"waiting for archiver: 1, the first is restaurant_notified told-1 of order order-1 at {SHARD} 2"


def test_one_past_its_place_has_lost_it() -> None:
    verdict = audit(evidence(lake=(PLACED,)))
    assert [finding.kind for finding in verdict.findings] == [LOST]
    assert "told-1" in verdict.findings[0].what
    assert verdict.at_rest


def test_where_a_consumer_says_nothing_its_pace_and_half_a_minute_decide() -> None:
    silent = evidence(
        effects=(), stream=(PLACED,), lake=(PLACED,), reached={}, paces={"restaurant_notifier": timedelta(seconds=10)}
    )
    early = audit(replace(silent, looked_at=NOW + timedelta(seconds=39)))
    assert early.ok
    assert "restaurant_notifier" in waits(early)
    late = audit(replace(silent, looked_at=NOW + timedelta(seconds=40)))
    assert [finding.what.split(" for ")[0] for finding in late.findings if "ticket" in finding.what] == ["the ticket"]


def test_a_message_just_sent_may_be_on_its_way() -> None:
    sent = evidence(effects=(), looked_at=NOW + timedelta(seconds=29))
    assert waits(audit(sent)) == ["restaurant_notifier"]
    assert audit(sent).ok
    assert not audit(replace(sent, looked_at=NOW + timedelta(seconds=30))).ok


def test_a_command_just_acknowledged_may_be_on_its_way() -> None:
    new = Fact("new", "order_completed", "order-1", at=NOW)
    early = evidence(looked_at=NOW + timedelta(seconds=29))
    early = replace(early, ledger=(*early.ledger, new))
    assert waits(audit(early)) == ["the stream"]
    assert not audit(replace(early, looked_at=NOW + timedelta(seconds=31))).ok


def test_what_was_set_apart_is_not_lost_and_nothing_follows_from_it() -> None:
    apart = evidence(
        stream=(PLACED,), lake=(PLACED,), effects=(), letters={"restaurant_notifier": frozenset({place(1)})}
    )
    verdict = audit(apart)
    assert verdict.findings == ()
    assert verdict.at_rest
    assert str(verdict.accounts[1]) == "restaurant_notifier: 1 records = 0 tickets and withdrawals + 1 letters"
    assert [finding.kind for finding in audit(replace(apart, letters={})).findings] == [LOST, LOST]


def test_a_bad_record_is_the_letter_of_each_consumer_that_read_it() -> None:
    bad = BadRecord(place(0), frozenset({ARCHIVER, "user_notifier"}), NOW)
    verdict = audit(evidence(unreadable=(bad,), letters={ARCHIVER: frozenset({place(0)})}))
    assert [finding.what for finding in verdict.findings] == [
        f"the unreadable record at {SHARD} 0 is not in the dead letters of user_notifier"
    ]
    counts = {account.consumer: account.counts for account in verdict.accounts}
    assert counts["restaurant_notifier"][End.PASSED_OVER] == 2
    assert counts[ARCHIVER][End.LETTER] == 1


def test_a_log_that_has_forgotten_commits_is_not_held_to_its_count() -> None:
    again = replace(TOLD, place=place(3))
    repeated = evidence(
        stream=(PLACED, TOLD, again), dropped=None, reached=reached(**dict.fromkeys((*NOTIFIERS, ARCHIVER), 3))
    )
    assert LOST not in {finding.kind for finding in audit(repeated).findings}
    assert LOST in {finding.kind for finding in audit(replace(repeated, dropped=0)).findings}


def test_a_shard_that_has_ended_is_known_by_its_children() -> None:
    parents = {"first": (), "second": (), "merged": ("first", "second"), "left": ("merged",), "right": ("merged",)}
    shards = [
        Shard(name, HashKeyRange(0, 1), frozenset(of), closed=name not in {"left", "right"})
        for name, of in parents.items()
    ]
    here = SequenceNumber("7")
    assert with_ended({"left": here}, shards) == {
        "left": here,
        **dict.fromkeys(("merged", "first", "second"), Sentinel.SHARD_END),
    }
    assert with_ended({"first": here, "second": Sentinel.SHARD_END}, shards) == {
        "first": here,
        "second": Sentinel.SHARD_END,
    }
    assert with_ended({"merged": here, "first": here}, shards)["first"] is here


def test_a_hosted_consumer_is_as_slow_as_the_slowest_that_is_run_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CONSUMERS, "looker", ConsumerSpec(part="looker", build="", hosted_by="archiver"))
    told = paces({"TAKEAWAY_LAKE_BUCKET": "lake", "TAKEAWAY_LAKE_FILE_AGE": "60"})
    assert {name: told[name].seconds for name in ("archiver", "looker", "user_notifier")} == {
        "archiver": 60,
        "looker": 60,
        "user_notifier": 10,
    }
