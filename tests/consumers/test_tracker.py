"""The tracker on one shard: every event noted with its order before progress, and no order in another's way."""

import base64
import random
import uuid
import zlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from botocore.exceptions import EndpointConnectionError

from analytics.assembly import customer_keys
from consumers.assembly import dead_letters, kinesis_function, redriver
from consumers.batching.rules import BatchRules
from consumers.dead_letters.set_apart import SetsApart
from consumers.diagnostics import ReadUntilNotNoted
from consumers.processing import Pace, RecordProcessor, ShardAssignment
from consumers.redrive.redrive import Redrive
from consumers.settings import ConsumerSettings
from consumers.tracker import trackers, tracking
from events.choreography import TRACKER
from events.envelope import EventEnvelope
from events.timeline import seen, timeline_bytes
from events.wire import encode
from foundation.clock import SYSTEM_CLOCK, Clock
from foundation.diagnostics import Diagnostic
from foundation.kinesis.records import Record, Sentinel, SequenceNumber
from foundation.settings import from_environment
from producers.assembly import tracked_orders
from producers.tracking import ReadShards
from tests.consumers.steps.test_step import Later, Letters
from tests.events.test_timeline import PLACED, WHOLE, at
from tests.support.builders import NOON, a_batch, a_record, an_envelope
from tests.support.fakes.clock import FakeClock
from tests.support.fakes.tracker_table import FakeTrackerTable

if TYPE_CHECKING:
    from tests.conftest import LocalAws

CLOCK = Clock(now=lambda: NOON, monotonic=Later().monotonic)
RULES = BatchRules(parallelization_factor=1)
ASSIGNMENT = ShardAssignment("orders", "shardId-000000000000", Sentinel.TRIM_HORIZON)


class Shard:
    """A table, letters, and processors of a shard that share them."""

    def __init__(self) -> None:
        self.table = FakeTrackerTable()
        self.letters = Letters()
        self.told: list[Diagnostic] = []

    def processor(self, assignment: ShardAssignment = ASSIGNMENT, rules: BatchRules = RULES) -> RecordProcessor:
        apart = SetsApart(TRACKER, self.letters, clock=CLOCK, emit=lambda _: None)
        factory = tracking(
            self.table.orders(), rules, apart=apart, clock=CLOCK, shards=self.table.shards(), emit=self.told.append
        )
        return factory(assignment)

    def read_until(self, assignment: ShardAssignment = ASSIGNMENT) -> datetime | None:
        return self.table.shards().until([assignment.shard_id])

    @property
    def orders(self) -> set[str]:
        return {name for name, item in self.table.items.items() if "known" in item}

    def events_of(self, order_id: str) -> int:
        order = self.table.orders().get(order_id)
        return order.known.count if order else 0

    def bytes_of(self, order_id: str = "order-1") -> bytes:
        order = self.table.orders().get(order_id)
        assert order is not None
        return timeline_bytes(order.timeline)


def records(*envelopes: EventEnvelope[Any], first: int = 1) -> list[Record]:
    return [
        a_record(number, data=encode(envelope), order_id=envelope.order_id)
        for number, envelope in enumerate(envelopes, first)
    ]


def placed(order_id: str, **changes: Any) -> EventEnvelope[Any]:
    return an_envelope(order_id=order_id, **changes)


def test_every_event_is_noted_with_its_order_by_one_write_a_batch() -> None:
    shard = Shard()
    progress = shard.processor().process(a_batch(*records(*WHOLE, placed("order-2"))))
    assert progress.resume_after == SequenceNumber("7")
    assert progress.failure is None
    order = shard.table.orders().get("order-1")
    assert order is not None
    assert [(one.event_type, one.shard, one.sequence) for one in order.timeline.events] == [
        (envelope.event_type, "shardId-000000000000", str(number)) for number, envelope in enumerate(WHOLE, 1)
    ]
    assert (order.timeline.state, order.version) == ("completed", 1)
    # One read of all, and one write for each order.
    # And a note of how far it is.
    assert (shard.table.reads - 1, shard.table.writes) == (1, 2 + 1)


def test_progress_waits_for_the_write_and_other_orders_do_not() -> None:
    shard = Shard()
    shard.table.down = {"order-1"}
    processor = shard.processor()
    progress = processor.process(a_batch(*records(placed("order-0"), placed("order-1"), placed("order-2"))))
    assert progress.resume_after == SequenceNumber("1")
    assert progress.failure is not None
    assert progress.failure.at == SequenceNumber("2")
    assert progress.failure.pace is Pace.FULL
    assert shard.orders == {"order-0", "order-2"}
    shard.table.down = set()
    assert processor.process(a_batch()).resume_after == SequenceNumber("3")
    assert shard.orders == {"order-0", "order-1", "order-2"}
    assert shard.letters.written == []


def test_what_is_no_event_is_left_to_those_that_set_it_apart() -> None:
    shard = Shard()
    bad = [a_record(1, data=b"torn"), a_record(2, data=b"{}"), *records(placed("order-1"), first=3)]
    progress = shard.processor().process(a_batch(*bad))
    assert progress.resume_after == SequenceNumber("3")
    assert shard.letters.written == []
    assert shard.orders == {"order-1"}


def test_an_event_of_a_newer_release_is_kept_as_its_header_says() -> None:
    newer = encode(placed("order-1")).replace(b'"event_type":"order_placed"', b'"event_type":"order_rated"')
    later = encode(WHOLE[4]).replace(b'"schema_version":1', b'"schema_version":9')
    shard = Shard()
    shard.processor().process(a_batch(a_record(1, data=newer), a_record(2, data=later)))
    order = shard.table.orders().get("order-1")
    assert order is not None
    assert [one.event_type for one in order.timeline.events] == ["order_rated", "order_completed"]
    assert order.timeline.customer_id is None


def test_a_record_without_a_key_and_one_of_another_key_are_noted_with_their_order() -> None:
    keyless = msgspec.structs.replace(records(placed("order-1"))[0], partition_key=None)
    [other] = records(placed("order-2"), first=2)
    shard = Shard()
    shard.processor().process(a_batch(keyless, msgspec.structs.replace(other, partition_key="order-1")))
    assert shard.orders == {"order-1", "order-2"}


def test_an_order_whose_events_do_not_fit_is_set_apart_and_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("producers.tracking.item.MOST_BYTES", 600)
    shard = Shard()
    long = [placed("order-1", cause=uuid.uuid4().hex * 3) for number in range(20)]
    progress = shard.processor().process(a_batch(*records(*long, placed("order-2"))))
    assert progress.resume_after == SequenceNumber("21")
    assert "order-2" in shard.orders
    assert {letter.consumer for letter in shard.letters.written} == {TRACKER}
    assert 0 < len(shard.letters.written) < 20


def test_an_old_record_is_noted_whatever_the_rules_of_notifiers_say() -> None:
    shard = Shard()
    rules = replace(RULES, max_record_age=timedelta(seconds=1))
    old = msgspec.structs.replace(records(placed("order-1"))[0], arrived=0.0)
    shard.processor(rules=rules).process(a_batch(old))
    assert shard.orders == {"order-1"}
    assert shard.letters.written == []


def test_a_shard_of_a_stream_made_anew_has_another_name() -> None:
    shard = Shard()
    anew = replace(ASSIGNMENT, creation="20260314T120000Z", made_anew=True)
    shard.processor(anew).process(a_batch(*records(placed("order-1"))))
    order = shard.table.orders().get("order-1")
    assert order is not None
    assert [one.shard for one in order.timeline.events] == [anew.shard_name]


@pytest.fixture
def many_are_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two orders of a batch are stored by transactions already, of three at most."""
    monkeypatch.setattr("consumers.tracker.MANY_ORDERS", 2)
    monkeypatch.setattr("producers.tracking.writes.MOST_TOGETHER", 3)


def seven_orders() -> list[Record]:
    return records(*(placed(f"order-{number}") for number in range(7)))


@pytest.mark.usefixtures("many_are_two")
def test_many_orders_are_stored_by_transactions_and_come_to_the_same_bytes() -> None:
    shard, alone = Shard(), Shard()
    every = [*seven_orders(), *records(*WHOLE, first=8)]
    progress = shard.processor().process(a_batch(*every))
    assert (progress.resume_after, progress.failure) == (SequenceNumber("13"), None)
    assert [len(names) for names in shard.table.transactions] == [3, 3, 1]
    # The note of how far it is.
    assert shard.table.writes == 1
    for record in every:
        alone.processor().process(a_batch(record))
    assert alone.table.transactions == []
    assert {name: shard.bytes_of(name) for name in shard.orders} == {
        name: alone.bytes_of(name) for name in shard.orders
    }
    # All of it again: nothing is news.
    shard.processor().process(a_batch(*every))
    assert len(shard.table.transactions) == 3


@pytest.mark.usefixtures("many_are_two")
def test_an_order_that_another_writes_meanwhile_keeps_no_other_of_its_transaction_from_being_stored() -> None:
    shard = Shard()

    def another(name: str) -> None:
        if name == "order-1":
            shard.table.before_put = lambda _: None
            other.processor().process(a_batch(*records(placed("order-1", cause="another"), first=90)))

    other = Shard()
    other.table = shard.table
    shard.table.before_put = another
    progress = shard.processor().process(a_batch(*seven_orders()))
    assert (progress.resume_after, progress.failure) == (SequenceNumber("7"), None)
    assert shard.orders == {f"order-{number}" for number in range(7)}
    # The other's event and the shard's own.
    assert shard.events_of("order-1") == 2
    assert shard.table.transactions == [["order-0", "order-2"], ["order-3", "order-4", "order-5"], ["order-6"]]


@pytest.mark.usefixtures("many_are_two")
@pytest.mark.parametrize("refusal", ["ThrottlingException", "ValidationException", "TransactionInProgressException"])
def test_orders_whose_transaction_is_refused_are_stored_one_by_one(refusal: str) -> None:
    shard = Shard()
    shard.table.refuses_together = refusal
    progress = shard.processor().process(a_batch(*seven_orders()))
    assert (progress.resume_after, progress.failure) == (SequenceNumber("7"), None)
    assert (len(shard.orders), shard.table.transactions) == (7, [])


@pytest.mark.usefixtures("many_are_two")
def test_an_order_that_cannot_be_stored_waits_alone_where_many_are() -> None:
    shard = Shard()
    shard.table.down = {"order-3"}
    processor = shard.processor()
    progress = processor.process(a_batch(*seven_orders()))
    assert progress.resume_after == SequenceNumber("3")
    assert shard.orders == {f"order-{number}" for number in range(7)} - {"order-3"}
    shard.table.down = set()
    assert processor.process(a_batch()).resume_after == SequenceNumber("7")
    assert shard.letters.written == []


@pytest.mark.usefixtures("many_are_two")
def test_an_order_that_is_set_apart_keeps_no_other_from_being_stored_where_many_are() -> None:
    shard = Shard()
    shard.processor().process(a_batch(*seven_orders()[:1]))
    shard.table.items["order-0"] |= {"known": {"B": b"torn"}}
    again = records(*(placed(f"order-{number}", cause="again") for number in range(7)), first=8)
    progress = shard.processor().process(a_batch(*again))
    assert (progress.resume_after, progress.failure) == (SequenceNumber("14"), None)
    assert [letter.consumer for letter in shard.letters.written] == [TRACKER]
    assert {shard.events_of(f"order-{number}") for number in range(1, 7)} == {1}


@pytest.mark.local_aws
@pytest.mark.usefixtures("many_are_two")
def test_many_orders_are_stored_on_the_local_aws_where_one_was_written_meanwhile(local_aws: "LocalAws") -> None:
    orders, names = tracked_orders(local_aws.environ), [f"order-{uuid.uuid4()}" for _ in range(7)]
    stale = orders.get_many(names)
    one, another = (seen([msgspec.structs.replace(at(1, PLACED), event_id=uuid.uuid4().hex)]) for _ in range(2))
    orders.join(names[1], another)
    stored = orders.join_many(dict.fromkeys(names, one), stale)
    assert sorted(stored) == sorted({*names} - {names[1]})
    assert {name: order.known for name, order in orders.get_many(names).items()} == {
        name: another if name == names[1] else one for name in names
    }


def delivered(batches: Sequence[Sequence[Record]], crashes: random.Random) -> bytes:
    """After a crash the next holder of the shard is given what is behind the checkpoint again, or more than that."""
    shard = Shard()
    processor = shard.processor()
    for batch in batches:
        processor.process(a_batch(*batch))
        if crashes.random() < 0.5:
            processor = shard.processor()
            for again in batches[: batches.index(batch) + 1]:
                if crashes.random() < 0.5:
                    processor.process(a_batch(*again))
    return shard.bytes_of()


def test_deliveries_with_repeats_and_new_holders_come_to_the_same_bytes() -> None:
    every = records(*WHOLE, *WHOLE[:2])
    whole = Shard()
    whole.processor().process(a_batch(*every))
    chance = random.Random(7)
    for _ in range(30):
        cuts = sorted(chance.sample(range(1, len(every)), 2))
        batches = [every[: cuts[0]], every[cuts[0] : cuts[1]], every[cuts[1] :]]
        assert delivered(batches, chance) == whole.bytes_of()


@pytest.mark.local_aws
def test_on_lambda_an_invocation_notes_its_events_as_a_worker_does(local_aws: "LocalAws") -> None:
    order_id = f"order-{uuid.uuid4()}"
    [record] = records(placed(order_id))
    arn = f"arn:aws:kinesis:us-east-1:000000000000:stream/{local_aws.environ['TAKEAWAY_STREAM']}"
    invocation = {
        "Records": [
            {
                "eventID": f"shardId-000000000000:{record.number}",
                "eventSourceARN": arn,
                "kinesis": {
                    "partitionKey": order_id,
                    "sequenceNumber": record.number,
                    "data": base64.b64encode(record.data).decode(),
                    "approximateArrivalTimestamp": record.arrived,
                },
            }
        ]
    }
    answer = kinesis_function(TRACKER, local_aws.environ, lambda _: None).handle(invocation, lambda: 60.0)
    assert answer == {"batchItemFailures": []}
    shard = Shard()
    shard.processor().process(a_batch(record))
    order = tracked_orders(local_aws.environ).get(order_id)
    assert order is not None
    assert timeline_bytes(order.timeline) == shard.bytes_of(order_id)


@pytest.mark.local_aws
def test_what_was_set_apart_is_noted_when_it_is_given_again(
    local_aws: "LocalAws", monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a release has more room for an order."""
    environ, order_id = local_aws.environ, f"order-{uuid.uuid4()}"
    settings = from_environment(ConsumerSettings, environ)
    letters = dead_letters(environ, settings, customer_keys(environ))
    before = set(letters.keys(f"{TRACKER}/"))
    every = records(*(placed(order_id, cause=uuid.uuid4().hex * 3) for _ in range(12)))
    with monkeypatch.context() as small:
        small.setattr("producers.tracking.item.MOST_BYTES", 600)
        small_ones = trackers(settings, environ, lambda _: None, None, letters)(ASSIGNMENT)
        assert small_ones.process(a_batch(*every)).resume_after == SequenceNumber("12")
    apart = set(letters.keys(f"{TRACKER}/")) - before
    assert 0 < len(apart) < 12
    again = redriver(TRACKER, environ, lambda _: False, lambda _: None)
    redrive = Redrive(
        letters, again, clock=SYSTEM_CLOCK, wait=lambda _: False, new_id=lambda: uuid.uuid4().hex, emit=lambda _: None
    )
    assert redrive.run(sorted(apart)).ok
    order = tracked_orders(environ).get(order_id)
    assert order is not None
    assert [one.sequence for one in order.timeline.events] == [str(number) for number in range(1, 13)]
    assert set(letters.keys(f"{TRACKER}/")) == before


def test_how_far_a_shard_is_read_is_noted_when_what_came_is_stored() -> None:
    shard = Shard()
    processor = shard.processor()
    processor.process(replace(a_batch(*records(placed("order-1"))), millis_behind_latest=1))
    # By the last record's arrival, which is noon.
    assert shard.read_until() == NOON
    shard.table.down = {"order-2"}
    later = msgspec.structs.replace(records(placed("order-2"), first=2)[0], arrived=NOON.timestamp() + 60)
    assert processor.process(a_batch(later)).failure is not None
    tip = replace(a_batch(), asked_at=NOON + timedelta(minutes=5))
    processor.process(tip)
    assert shard.read_until() == NOON
    shard.table.down = set()
    processor.process(tip)
    assert shard.read_until() == NOON + timedelta(minutes=5)


@pytest.mark.parametrize(("millis", "asked", "until"), [(0, 9, 9), (1, 9, None), (0, None, None)])
def test_an_idle_shard_is_read_up_to_when_its_tip_was_asked_for(
    millis: int, asked: int | None, until: int | None
) -> None:
    shard = Shard()
    asked_at = NOON + timedelta(minutes=asked) if asked is not None else None
    shard.processor().process(replace(a_batch(), millis_behind_latest=millis, asked_at=asked_at))
    assert shard.read_until() == (NOON + timedelta(minutes=until) if until is not None else None)


def test_a_new_holder_that_is_given_old_records_takes_nothing_back() -> None:
    shard = Shard()
    shard.processor().process(replace(a_batch(), asked_at=NOON + timedelta(minutes=9)))
    shard.processor().process(a_batch(*records(placed("order-1"))))
    assert shard.read_until() == NOON + timedelta(minutes=9)


def test_how_far_it_is_is_noted_every_other_second_at_most() -> None:
    shard, time = Shard(), FakeClock()
    apart = SetsApart(TRACKER, shard.letters, clock=time.clock, emit=lambda _: None)
    table = shard.table
    factory = tracking(
        table.orders(), RULES, apart=apart, clock=time.clock, shards=table.shards(), emit=shard.told.append
    )
    processor = factory(ASSIGNMENT)
    for _ in range(40):
        time.advance(0.1)
        processor.process(replace(a_batch(), asked_at=time.now()))
    assert table.writes == 2


def test_a_note_that_cannot_be_written_is_told_and_holds_up_no_order(monkeypatch: pytest.MonkeyPatch) -> None:
    shard = Shard()

    def down(*_: object) -> None:
        raise EndpointConnectionError(endpoint_url="http://tracker")

    monkeypatch.setattr(ReadShards, "note", down)
    progress = shard.processor().process(a_batch(*records(placed("order-1"))))
    assert (progress.resume_after, progress.failure) == (SequenceNumber("1"), None)
    assert [type(one) for one in shard.told] == [ReadUntilNotNoted]


@pytest.mark.parametrize("known", [{"B": b"torn"}, {"B": zlib.compress(b"torn")}, {"S": "none"}, None])
def test_an_order_whose_item_cannot_be_read_is_set_apart_and_the_others_go_on(known: Any) -> None:
    shard = Shard()
    shard.processor().process(a_batch(*records(*(an_envelope(order_id=name) for name in ("a", "b")))))
    broken = {name: value for name, value in shard.table.items["a"].items() if name != "known"}
    shard.table.items["a"] = broken if known is None else broken | {"known": known}
    more = records(*(an_envelope(order_id=name, cause="again") for name in ("a", "b", "c")), first=3)
    progress = shard.processor().process(a_batch(*more))
    assert (progress.resume_after, progress.failure) == (SequenceNumber("5"), None)
    (letter,) = shard.letters.written
    assert letter.record.data == more[0].data
    assert "the tracker's item of order a cannot be read" in letter.error
    assert "takeaway replay tracker" in letter.error
    assert {name: shard.events_of(name) for name in ("b", "c")} == {"b": 2, "c": 1}
    # What cannot be read is made anew; how far the shard is read stays noted, and so do the other orders.
    until = shard.read_until()
    assert shard.table.orders().remove_unreadable() == 1
    assert shard.orders == {"b", "c"}
    assert shard.read_until() == until is not None
    shard.processor().process(a_batch(*records(an_envelope(order_id="a")), *more))
    assert shard.events_of("a") == 2
