"""What only Lambda's engine does: reads the mapping's event, keeps to its time, and looks up a shard's hash keys."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from consumers.diagnostics import BatchHandedBack, ShardFailed, ShardStopped
from consumers.engines.aws_lambda.delivery import NotFromKinesis, delivery
from consumers.engines.aws_lambda.function import LEAST_SECONDS, KinesisFunction
from consumers.processing import Progress, RecordFailure, RecordProcessor, ShardAssignment, ShardStop
from events.wire import encode
from foundation.diagnostics import Diagnostic
from foundation.kinesis.hash_keys import HashKeyRange
from foundation.kinesis.records import Batch, Position, SequenceNumber
from tests.support.builders import an_envelope, packed
from tests.support.fakes.clock import FakeClock

SHARD = "shardId-000000000000"
SOURCE = "arn:aws:kinesis:us-east-1:000000000000:stream/orders"
DONE: dict[str, Any] = {"batchItemFailures": []}


def an_entry(number: int, data: bytes = b"data", *, shard_id: str = SHARD, source: str = SOURCE, key: str = "k") -> Any:
    return {
        "eventID": f"{shard_id}:{number}",
        "eventSourceARN": source,
        "kinesis": {
            "sequenceNumber": str(number),
            "partitionKey": key,
            "data": base64.b64encode(data).decode(),
            "approximateArrivalTimestamp": 1545084650.987,
        },
    }


def an_event(*entries: Any) -> Any:
    return json.loads(json.dumps({"Records": entries}))


def test_a_record_may_come_without_a_partition_key() -> None:
    entries = [an_entry(1), an_entry(2), an_entry(3)]
    del entries[1]["kinesis"]["partitionKey"]
    entries[2]["kinesis"]["partitionKey"] = None
    assert [record.partition_key for record in delivery(an_event(*entries)).records] == ["k", None, None]


class Taking:
    """Takes records until one of them is to fail, by its number."""

    def __init__(self, assignment: ShardAssignment, takes_its_time: Callable[[], None]) -> None:
        self.assignment = assignment
        self._takes_its_time = takes_its_time
        self.resume_after: Position = assignment.checkpoint
        self.taken: list[SequenceNumber] = []
        self.flushed = 0
        self.errors: dict[int, list[Exception]] = {}

    def process(self, batch: Batch) -> Progress:
        self._takes_its_time()
        for record in batch.records:
            errors = self.errors.get(int(record.number), [])
            if errors:
                return Progress(self.resume_after, RecordFailure(record.sequence_number, errors.pop()))
            self.taken.append(record.sequence_number)
            self.resume_after = record.sequence_number
        return Progress(self.resume_after)

    def flush(self) -> Progress:
        self.flushed += 1
        return Progress(self.resume_after)


class Container:
    """A function of which each invocation has 300 seconds, on a clock that only waiting moves."""

    def __init__(self) -> None:
        self.time = FakeClock()
        self.seconds_a_batch = 0.0
        self.opened: list[Taking] = []
        self.errors: dict[int, list[Exception]] = {}
        self.resume_after: Position | None = None
        self.unopenable: list[Exception] = []
        self.happened: list[Diagnostic] = []
        self.looked_up: list[tuple[str, str]] = []
        self.hash_keys: HashKeyRange | None = HashKeyRange(0, 2**127 - 1)
        self.function = KinesisFunction(
            self._open, hash_keys_of=self._look_up, batch_records=2, wait=self.time.wait, emit=self.happened.append
        )

    def invoke(self, *entries: Any, seconds: float = 300) -> Any:
        ends = self.time.monotonic() + seconds
        return self.function.handle(an_event(*entries), lambda: ends - self.time.monotonic())

    @property
    def taken(self) -> list[tuple[int, int]]:
        return [place.key for each in self.opened for place in each.taken]

    def _open(self, assignment: ShardAssignment) -> RecordProcessor:
        if self.unopenable:
            raise self.unopenable.pop()
        made = Taking(assignment, lambda: self.time.advance(self.seconds_a_batch))
        made.errors = self.errors
        made.resume_after = self.resume_after or made.resume_after
        self.opened.append(made)
        return made

    def _look_up(self, stream: str, shard_id: str) -> HashKeyRange | None:
        self.looked_up.append((stream, shard_id))
        return self.hash_keys


@pytest.fixture
def container() -> Container:
    return Container()


def fails_at(number: int) -> dict[str, Any]:
    return {"batchItemFailures": [{"itemIdentifier": str(number)}]}


def test_a_batch_that_is_done_fails_nothing(container: Container) -> None:
    assert container.invoke(an_entry(1), an_entry(2), an_entry(3)) == DONE
    assert container.taken == [(1, 0), (2, 0), (3, 0)]
    assert container.opened[0].flushed == 1
    assert container.opened[0].assignment == ShardAssignment("orders", SHARD, container.opened[0].assignment.checkpoint)


def test_each_invocation_has_a_processor_of_its_own(container: Container) -> None:
    container.invoke(an_entry(1))
    container.invoke(an_entry(2))
    assert [each.taken for each in container.opened] == [[SequenceNumber("1")], [SequenceNumber("2")]]


def test_the_first_record_that_is_not_done_is_named_as_it_was_received(container: Container) -> None:
    container.errors[7] = [OSError("away")] * 100
    entries = [an_entry(5), an_entry(7), an_entry(9)]
    entries[1]["kinesis"]["sequenceNumber"] = "007"
    assert container.invoke(*entries) == {"batchItemFailures": [{"itemIdentifier": "007"}]}
    assert container.opened[0].flushed == 1


def test_inside_an_aggregate_its_number_is_named(container: Container) -> None:
    container.errors[7] = [OSError("away")] * 100
    assert container.invoke(an_entry(5), an_entry(7, packed([b"a", b"b"], "k"))) == fails_at(7)


def test_it_waits_only_while_there_is_time(container: Container) -> None:
    container.errors[1] = [OSError("away")] * 100
    assert container.invoke(an_entry(1), an_entry(2), seconds=100) == fails_at(1)
    assert 60 <= container.time.monotonic() <= 90
    assert container.happened[-1] == BatchHandedBack(SHARD, "1", 2)


def test_when_time_runs_out_nothing_more_is_begun(container: Container) -> None:
    container.seconds_a_batch = 60
    assert container.invoke(*(an_entry(number) for number in range(1, 7)), seconds=125) == fails_at(5)
    assert container.taken == [(1, 0), (2, 0), (3, 0), (4, 0)]


def test_a_function_without_time_says_so(container: Container) -> None:
    with pytest.raises(TimeoutError, match="fix: set its timeout to 60 s"):
        container.invoke(an_entry(1), seconds=LEAST_SECONDS - 1)


def test_what_cannot_be_opened_in_time_is_an_error_of_the_function(container: Container) -> None:
    container.unopenable = [OSError("away")] * 100
    with pytest.raises(OSError, match="away"):
        container.invoke(an_entry(1))
    assert len([one for one in container.happened if isinstance(one, ShardFailed)]) > 3


def test_a_deployment_that_cannot_be_opened_is_an_error_at_once(container: Container) -> None:
    container.unopenable = [ShardStop("no bucket")]
    with pytest.raises(ShardStop, match="no bucket"):
        container.invoke(an_entry(1))
    assert container.time.waits == []


def test_a_deliberate_stop_first_keeps_what_was_done_and_then_is_an_error(container: Container) -> None:
    container.errors[3] = [ShardStop("ten in a row")] * 2
    assert container.invoke(an_entry(1), an_entry(2), an_entry(3)) == fails_at(3)
    with pytest.raises(ShardStop, match="ten in a row"):
        container.invoke(an_entry(3))
    assert len([one for one in container.happened if isinstance(one, ShardStopped)]) == 2


def test_what_the_processor_has_already_is_not_given_again(container: Container) -> None:
    container.resume_after = SequenceNumber("2")
    assert container.invoke(an_entry(1), an_entry(2), an_entry(3)) == DONE
    assert container.invoke(an_entry(1), an_entry(2)) == DONE
    assert container.taken == [(3, 0)]


def test_a_stray_aggregate_is_left_out_and_its_shard_looked_up_once(container: Container) -> None:
    stray = packed([b"a"], "key-of-another-shard")
    container.hash_keys = HashKeyRange(0, 1)
    assert container.invoke(an_entry(1, stray, key="a"), an_entry(2)) == DONE
    assert container.invoke(an_entry(3, stray, key="a")) == DONE
    assert container.taken == [(2, 0)]
    assert container.looked_up == [("orders", SHARD)]


def test_nothing_is_looked_up_for_another_writers_aggregate(container: Container) -> None:
    container.invoke(an_entry(1, packed([b"a", b"b"], "k")))
    assert container.taken == [(1, 0), (1, 1)]
    assert container.looked_up == []


def test_an_aggregate_of_a_shard_nobody_lists_is_delivered(container: Container) -> None:
    container.hash_keys = None
    container.invoke(an_entry(1, packed([b"a"], "k"), key="a"))
    assert container.taken == [(1, 0)]


def test_records_that_lambda_has_unpacked_are_told_apart(container: Container) -> None:
    container.invoke(an_entry(1, b"a"), an_entry(2, b"b"), an_entry(2, b"c"), an_entry(3, b"d"))
    assert container.taken == [(1, 0), (2, 0), (2, 1), (3, 0)]


def test_the_stream_is_named_by_its_arn_or_its_consumers() -> None:
    assert delivery(an_event(an_entry(1))).stream == "orders"
    assert delivery(an_event(an_entry(1, source=f"{SOURCE}/consumer/notifier:1726"))).stream == "orders"


@pytest.mark.parametrize(
    ("event", "says"),
    [
        ({}, "Records"),
        (None, "object"),
        ({"Records": []}, "0 shards"),
        ({"Records": [{"Sns": {}}]}, "kinesis"),
        (an_event(an_entry(1), an_entry(2, shard_id="shardId-000000000001")), "2 shards"),
        ({**an_event(an_entry(1)), "window": {"start": "x"}}, "TumblingWindowInSeconds"),
    ],
)
def test_what_is_no_batch_of_a_mapping_is_refused(event: Any, says: str) -> None:
    with pytest.raises(NotFromKinesis, match=says) as refused:
        delivery(event)
    assert "fix:" in str(refused.value)


def test_a_refusal_quotes_no_customer() -> None:
    event = an_event(an_entry(1, encode(an_envelope())))
    event["Records"][0]["kinesis"]["sequenceNumber"] = 1
    with pytest.raises(NotFromKinesis) as refused:
        delivery(event)
    assert "Ada" not in str(refused.value)
