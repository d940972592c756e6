"""What our code relies on in Kinesis: one suite for the fake and each local AWS, so that the fake stays honest."""

import hashlib
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError, ParamValidationError, ReadTimeoutError

from tests.conftest import BACKEND_NAME
from tests.support.fakes.clock import FakeClock
from tests.support.fakes.kinesis import FakeKinesis

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient

FAKE, LOCAL = "fake", "local"

# Where a local AWS is not like AWS; the fake is. Each test named here must fail there: docs/backends.md says the same.
LOCALSTACK_DIFFERENCES = {
    "too_many_entries_are_refused_whole": "501 entries are taken",
    "a_bad_iterator_is_refused": "HTTP 500, which boto3 tries again",
    "reads_are_limited": "nothing is throttled",
}
KNOWN_DIFFERENCES: dict[str, dict[str, str]] = {
    "embedded": {
        "list_shards_pages": "NextToken fails",
        "split_keeps_the_parent": "a split deletes the parent and its records",
        "merge_keeps_both_parents": "a merge deletes the parents and their records",
        "reads_are_limited": "nothing is throttled",
        "sequence_numbers_have_56_digits": "30 digits, leading zeros",
    },
    "localstack": LOCALSTACK_DIFFERENCES,
    "docker": LOCALSTACK_DIFFERENCES,
}


@dataclass
class Backend:
    """A client, a way to make streams of its own, and a way to let a second pass."""

    name: str
    client: "KinesisClient"
    let_time_pass: Callable[[float], Any]

    def stream(self, shards: int = 1) -> str:
        name = f"contract-{uuid.uuid4().hex[:12]}"
        self.client.create_stream(StreamName=name, ShardCount=shards)
        self.client.get_waiter("stream_exists").wait(StreamName=name) if self.name == LOCAL else None
        return name

    def read(self, stream: str, shard_id: str, kind: str, **start: Any) -> dict[str, Any]:
        iterator = self.client.get_shard_iterator(
            StreamName=stream,
            ShardId=shard_id,
            ShardIteratorType=kind,  # type: ignore[arg-type]  # a test's parameter
            **start,
        )["ShardIterator"]
        self.let_time_pass(0.3)
        return dict(self.client.get_records(ShardIterator=iterator))


@pytest.fixture(params=[FAKE, pytest.param(LOCAL, marks=pytest.mark.local_aws)])
def backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    if request.param == FAKE:
        clock = FakeClock()
        yield Backend(FAKE, FakeKinesis(clock.clock).client, clock.advance)
        return
    if difference := KNOWN_DIFFERENCES[BACKEND_NAME].get(request.node.originalname.removeprefix("test_")):
        request.applymarker(pytest.mark.xfail(reason=f"{BACKEND_NAME}: {difference}", strict=True))
    client = request.getfixturevalue("local_aws").client("kinesis")
    yield Backend(LOCAL, client, lambda _: None)
    client.close()


def code_of(error: pytest.ExceptionInfo[ClientError]) -> str:
    return error.value.response["Error"]["Code"]


def put(backend: Backend, stream: str, *keys: str) -> list[Any]:
    entries: Any = [{"Data": key.encode(), "PartitionKey": key} for key in keys]
    return list(backend.client.put_records(StreamName=stream, Records=entries)["Records"])


def test_a_stream_says_what_it_is(backend: Backend) -> None:
    stream = backend.stream(shards=3)
    summary = backend.client.describe_stream_summary(StreamName=stream)["StreamDescriptionSummary"]
    assert (summary["StreamStatus"], summary["OpenShardCount"]) == ("ACTIVE", 3)
    with pytest.raises(ClientError) as error:
        backend.client.list_shards(StreamName="nobody")
    assert code_of(error) == "ResourceNotFoundException"


def test_shards_cover_the_hash_keys_exactly_once(backend: Backend) -> None:
    shards = backend.client.list_shards(StreamName=backend.stream(shards=3))["Shards"]
    ranges = sorted(
        (int(s["HashKeyRange"]["StartingHashKey"]), int(s["HashKeyRange"]["EndingHashKey"])) for s in shards
    )
    assert ranges[0][0] == 0
    assert ranges[-1][1] == 2**128 - 1
    assert [first for first, _ in ranges[1:]] == [last + 1 for _, last in ranges[:-1]]


def test_a_key_is_routed_by_md5_and_an_explicit_hash_key_as_it_says(backend: Backend) -> None:
    stream = backend.stream(shards=2)
    shards = backend.client.list_shards(StreamName=stream)["Shards"]
    lows = [int(shard["HashKeyRange"]["StartingHashKey"]) for shard in shards]
    keys = [f"order-{index}" for index in range(20)]
    for key, answer in zip(keys, put(backend, stream, *keys), strict=True):
        hashed = int(hashlib.md5(key.encode(), usedforsecurity=False).hexdigest(), 16)
        assert answer["ShardId"] == shards[1 if hashed >= max(lows) else 0]["ShardId"]
    for shard in shards:
        explicit = backend.client.put_record(
            StreamName=stream, Data=b"x", PartitionKey="k", ExplicitHashKey=shard["HashKeyRange"]["EndingHashKey"]
        )
        assert explicit["ShardId"] == shard["ShardId"]


def test_records_come_back_whole_in_order_with_rising_numbers(backend: Backend) -> None:
    stream = backend.stream()
    answers = put(backend, stream, "a", "b", "c")
    read = backend.read(stream, answers[0]["ShardId"], "TRIM_HORIZON")
    assert [record["Data"] for record in read["Records"]] == [b"a", b"b", b"c"]
    assert [record["SequenceNumber"] for record in read["Records"]] == [answer["SequenceNumber"] for answer in answers]
    numbers = [int(answer["SequenceNumber"]) for answer in answers]
    assert numbers == sorted(set(numbers))
    assert read["MillisBehindLatest"] == 0
    assert read["Records"][0]["ApproximateArrivalTimestamp"].tzinfo is not None


def test_sequence_numbers_have_56_digits(backend: Backend) -> None:
    (answer,) = put(backend, backend.stream(), "a")
    assert len(answer["SequenceNumber"]) == 56


def test_each_iterator_starts_where_it_says(backend: Backend) -> None:
    stream = backend.stream()
    first, second, third = put(backend, stream, "a", "b", "c")
    shard_id = first["ShardId"]

    def data(kind: str, **start: Any) -> list[bytes]:
        backend.let_time_pass(1)
        return [record["Data"] for record in backend.read(stream, shard_id, kind, **start)["Records"]]

    assert data("AT_SEQUENCE_NUMBER", StartingSequenceNumber=second["SequenceNumber"]) == [b"b", b"c"]
    assert data("AFTER_SEQUENCE_NUMBER", StartingSequenceNumber=second["SequenceNumber"]) == [b"c"]
    assert data("AFTER_SEQUENCE_NUMBER", StartingSequenceNumber=third["SequenceNumber"]) == []
    assert data("LATEST") == []
    records = backend.read(stream, shard_id, "TRIM_HORIZON")["Records"]
    arrived_at = records[0]["ApproximateArrivalTimestamp"]
    assert data("AT_TIMESTAMP", Timestamp=arrived_at - timedelta(seconds=1)) == [b"a", b"b", b"c"]


def test_the_next_iterator_goes_on_and_a_limit_leaves_the_rest(backend: Backend) -> None:
    stream = backend.stream()
    (first, *_) = put(backend, stream, "a", "b", "c")
    iterator = backend.client.get_shard_iterator(
        StreamName=stream, ShardId=first["ShardId"], ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    page = backend.client.get_records(ShardIterator=iterator, Limit=2)
    assert [record["Data"] for record in page["Records"]] == [b"a", b"b"]
    backend.let_time_pass(1)
    rest = backend.client.get_records(ShardIterator=page["NextShardIterator"])
    assert [record["Data"] for record in rest["Records"]] == [b"c"]


def test_a_bad_iterator_is_refused(backend: Backend) -> None:
    backend.stream()
    with pytest.raises(ClientError) as error:
        backend.client.get_records(ShardIterator="nonsense")
    # AWS: InvalidArgumentException. The embedded one says that it expired; another emulator answers HTTP 500.
    assert code_of(error) in {"InvalidArgumentException", "ExpiredIteratorException"}


def test_too_many_entries_are_refused_whole(backend: Backend) -> None:
    stream = backend.stream()
    with pytest.raises(ClientError):
        put(backend, stream, *["k"] * 501)
    shard_id = backend.client.list_shards(StreamName=stream)["Shards"][0]["ShardId"]
    assert backend.read(stream, shard_id, "TRIM_HORIZON")["Records"] == []


def test_a_record_over_its_limit_is_refused(backend: Backend) -> None:
    stream = backend.stream()
    with pytest.raises(ClientError):
        backend.client.put_record(StreamName=stream, Data=b"x" * (1024 * 1024 + 1), PartitionKey="k")


def test_an_empty_key_never_leaves_the_client(backend: Backend) -> None:
    with pytest.raises(ParamValidationError):
        backend.client.put_record(StreamName="any", Data=b"x", PartitionKey="")


def test_list_shards_pages(backend: Backend) -> None:
    stream = backend.stream(shards=3)
    first = backend.client.list_shards(StreamName=stream, MaxResults=2)
    rest = backend.client.list_shards(NextToken=first["NextToken"])
    assert [len(page["Shards"]) for page in (first, rest)] == [2, 1]
    assert "NextToken" not in rest


def test_split_keeps_the_parent(backend: Backend) -> None:
    stream = backend.stream()
    (answer,) = put(backend, stream, "a")
    backend.client.split_shard(StreamName=stream, ShardToSplit=answer["ShardId"], NewStartingHashKey=str(2**127))
    shards = backend.client.list_shards(StreamName=stream)["Shards"]
    children = [shard for shard in shards if shard.get("ParentShardId") == answer["ShardId"]]
    assert len(children) == 2
    assert "EndingSequenceNumber" in shards[0]["SequenceNumberRange"]
    read = backend.read(stream, answer["ShardId"], "TRIM_HORIZON")
    assert [record["Data"] for record in read["Records"]] == [b"a"]
    assert "NextShardIterator" not in read
    assert {child["ShardId"] for child in read["ChildShards"]} == {child["ShardId"] for child in children}
    (after,) = put(backend, stream, "a")
    assert after["ShardId"] in {child["ShardId"] for child in children}
    only_open = backend.client.list_shards(StreamName=stream, ShardFilter={"Type": "AT_LATEST"})["Shards"]
    assert {shard["ShardId"] for shard in only_open} == {child["ShardId"] for child in children}


def test_merge_keeps_both_parents(backend: Backend) -> None:
    stream = backend.stream(shards=2)
    low, high = (shard["ShardId"] for shard in backend.client.list_shards(StreamName=stream)["Shards"])
    backend.client.merge_shards(StreamName=stream, ShardToMerge=low, AdjacentShardToMerge=high)
    child = backend.client.list_shards(StreamName=stream)["Shards"][-1]
    assert {child["ParentShardId"], child["AdjacentParentShardId"]} == {low, high}
    assert child["HashKeyRange"] == {"StartingHashKey": "0", "EndingHashKey": str(2**128 - 1)}
    for parent in (low, high):
        read = backend.read(stream, parent, "TRIM_HORIZON")
        assert set(read["ChildShards"][0]["ParentShards"]) == {low, high}


def test_reads_are_limited(backend: Backend) -> None:
    stream = backend.stream()
    shard_id = backend.client.list_shards(StreamName=stream)["Shards"][0]["ShardId"]
    iterator = backend.client.get_shard_iterator(StreamName=stream, ShardId=shard_id, ShardIteratorType="TRIM_HORIZON")[
        "ShardIterator"
    ]
    for _ in range(5):
        backend.client.get_records(ShardIterator=iterator)
    with pytest.raises(ClientError) as error:
        backend.client.get_records(ShardIterator=iterator)
    assert code_of(error) == "ProvisionedThroughputExceededException"
    backend.let_time_pass(1)
    assert backend.client.get_records(ShardIterator=iterator)["Records"] == []


# What no back end can be asked for: the fake's own limits and faults.


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def test_the_fakes_iterators_expire(clock: FakeClock) -> None:
    kinesis = FakeKinesis(clock.clock)
    shard_id = kinesis.shard_ids()[0]
    iterator = kinesis.get_shard_iterator(StreamName="orders", ShardId=shard_id, ShardIteratorType="LATEST")
    clock.advance(301)
    with pytest.raises(ClientError) as error:
        kinesis.get_records(ShardIterator=iterator["ShardIterator"])
    assert code_of(error) == "ExpiredIteratorException"


@pytest.mark.slow
def test_the_fake_limits_writes_when_told(clock: FakeClock) -> None:
    kinesis = FakeKinesis(clock.clock, write_limits=True)
    entries = [{"Data": b"x", "PartitionKey": "k"}] * 400
    assert [kinesis.put_records(StreamName="orders", Records=entries)["FailedRecordCount"] for _ in range(3)] == [
        0,
        0,
        200,
    ]
    clock.advance(1)
    assert kinesis.put_records(StreamName="orders", Records=entries)["FailedRecordCount"] == 0
    assert len(kinesis.records()) == 1400


@pytest.mark.slow
def test_the_fake_keeps_a_big_read_away_for_its_seconds(clock: FakeClock) -> None:
    kinesis = FakeKinesis(clock.clock)
    for _ in range(8):
        kinesis.put_record(StreamName="orders", Data=b"x" * 1_000_000, PartitionKey="k")
    start = kinesis.get_shard_iterator(
        StreamName="orders", ShardId=kinesis.shard_ids()[0], ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    kinesis.get_records(ShardIterator=start)
    clock.advance(3)
    with pytest.raises(ClientError):
        kinesis.get_records(ShardIterator=start)
    clock.advance(1)
    kinesis.get_records(ShardIterator=start)


def test_the_fakes_faults(clock: FakeClock) -> None:
    kinesis = FakeKinesis(clock.clock)
    entries = [{"Data": key.encode(), "PartitionKey": key} for key in "abc"]
    kinesis.reject_entries(lambda entry: entry["PartitionKey"] == "b")
    answer = kinesis.put_records(StreamName="orders", Records=entries)
    assert [entry.get("ErrorCode") for entry in answer["Records"]] == [
        None,
        "ProvisionedThroughputExceededException",
        None,
    ]
    assert answer["FailedRecordCount"] == 1
    kinesis.fail("put_records", "InternalFailure")
    with pytest.raises(ClientError) as error:
        kinesis.put_records(StreamName="orders", Records=entries)
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
    assert len(kinesis.records()) == 2
    kinesis.lose_answer("put_records")
    with pytest.raises(ReadTimeoutError):
        kinesis.put_records(StreamName="orders", Records=entries)
    assert len(kinesis.records()) == 5
    assert len(kinesis.calls("put_records")) == 3


def test_the_fake_trims(clock: FakeClock) -> None:
    kinesis = FakeKinesis(clock.clock)
    numbers = [kinesis.put_record(StreamName="orders", Data=b"x", PartitionKey="k")["SequenceNumber"] for _ in range(3)]
    kinesis.trim(kinesis.shard_ids()[0], 2)
    iterator = kinesis.get_shard_iterator(
        StreamName="orders",
        ShardId=kinesis.shard_ids()[0],
        ShardIteratorType="AT_SEQUENCE_NUMBER",
        StartingSequenceNumber=numbers[0],
    )
    read = kinesis.get_records(ShardIterator=iterator["ShardIterator"])
    assert [record["SequenceNumber"] for record in read["Records"]] == numbers[2:]
    clock.advance(25 * 3600)
    kinesis.list_shards(StreamName="orders")
    assert kinesis.records() == []


def test_the_fake_pads_numbers_when_told(clock: FakeClock) -> None:
    kinesis = FakeKinesis(clock.clock, number_width=60)
    number = kinesis.put_record(StreamName="orders", Data=b"x", PartitionKey="k")["SequenceNumber"]
    with pytest.raises(ClientError):
        kinesis.get_shard_iterator(
            StreamName="orders",
            ShardId=kinesis.shard_ids()[0],
            ShardIteratorType="AT_SEQUENCE_NUMBER",
            StartingSequenceNumber=str(int(number)),
        )
