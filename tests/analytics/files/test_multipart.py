"""Large files go to S3 in parts: whole or not at all, and with little in memory."""

from contextlib import suppress

import pytest
from botocore.exceptions import ClientError

from analytics.archiving.shard_sink import CommitFailed
from analytics.files import multipart
from analytics.files.multipart import ObjectWriter
from analytics.table.layout import object_key
from foundation.bucket import Bucket, WriteRefused
from tests.support.fakes import bucket as fake
from tests.support.fakes.bucket import FakeBucket, Gate
from tests.support.worlds.lake_world import SHARD, Crash, World, feed

PART = 4096
NUMBERS = range(1, 401)


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fake, "_LEAST_PART", PART)
    monkeypatch.setattr(ObjectWriter.__init__, "__kwdefaults__", {"part_size": PART})


@pytest.fixture
def bucket() -> FakeBucket:
    return FakeBucket("lake")


def writer(bucket: FakeBucket) -> ObjectWriter:
    return ObjectWriter(Bucket(bucket.client, bucket.name), "a")


@pytest.mark.parametrize(
    ("size", "operations"), [(0, 0), (PART, 0), (PART + 1, 2), (10 * PART, 10), (10 * PART + 1, 11)]
)
def test_what_fits_a_part_is_one_write_and_more_are_as_many_as_needed(
    bucket: FakeBucket, size: int, operations: int
) -> None:
    body, most = bytes(index % 251 for index in range(size)), 0
    with writer(bucket) as out:
        for start in range(0, size, 1000):
            out.write(memoryview(body)[start : start + 1000])
            most = max(most, len(out._held))
        assert bucket.objects == {}
    assert bucket.objects == {"a": body}
    assert out.size == size
    assert len(bucket.calls("upload_part")) == operations
    assert most <= PART + 1000


def torn(bucket: FakeBucket) -> None:
    with writer(bucket) as out:
        out.write(b"x" * 3 * PART)
        raise KeyError


def test_an_error_on_the_way_leaves_no_object_and_no_parts(bucket: FakeBucket) -> None:
    bucket.fail("upload_part", "SlowDown")
    with pytest.raises(ClientError), writer(bucket) as out:
        out.write(b"x" * 3 * PART)
    with pytest.raises(KeyError):
        torn(bucket)
    assert len(bucket.calls("abort_multipart_upload")) == 2
    assert (bucket.objects, bucket.uploads) == ({}, {})


def test_an_answer_that_was_lost_to_a_retry_is_our_own_write(bucket: FakeBucket) -> None:
    """botocore sends it again, and S3 no longer knows the upload, or finds the object there."""
    for code in ("NoSuchUpload", "PreconditionFailed"):
        bucket.objects["a"] = b"x" * 3 * PART
        bucket.fail("complete_multipart_upload", code)
        with writer(bucket) as out:
            out.write(b"x" * 3 * PART)
    bucket.fail("complete_multipart_upload", "PreconditionFailed")
    bucket.objects["a"] = b"another"
    with pytest.raises(WriteRefused), writer(bucket) as out:
        out.write(b"x" * 3 * PART)


def life(world: World, gate: Gate) -> None:
    shard = world.sink(gate).open(SHARD)
    feed(shard, NUMBERS)
    shard.flush()


def calls() -> range:
    gate = Gate()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(fake, "_LEAST_PART", PART)
        patched.setattr(ObjectWriter.__init__, "__kwdefaults__", {"part_size": PART})
        life(World(), gate)
    return range(1, gate.calls + 1)


def finish(world: World) -> None:
    shard = world.sink().open(SHARD)
    there = int(shard.committed.number) if shard.committed else 0
    assert world.archived() == list(range(1, there + 1))
    feed(shard, NUMBERS)
    shard.flush()
    assert world.archived() == list(NUMBERS)


@pytest.mark.slow
@pytest.mark.parametrize("applied", [False, True], ids=["before", "applied"])
@pytest.mark.parametrize("call", calls())
def test_a_crash_at_any_call_of_a_commit_in_parts(call: int, applied: bool) -> None:
    def crash() -> None:
        raise Crash

    world = World()
    with suppress(Crash):
        life(world, Gate(call, crash, applied=applied))
    finish(world)


@pytest.mark.slow
@pytest.mark.parametrize("applied", [False, True], ids=["before", "applied"])
@pytest.mark.parametrize("call", calls())
def test_a_lost_answer_at_any_call_of_a_commit_in_parts(call: int, applied: bool) -> None:
    def lost() -> None:
        raise ConnectionError("the connection broke")

    world = World()
    sink = world.sink(Gate(call, lost, applied=applied))
    shard = None
    for _ in range(5):
        with suppress(CommitFailed, ConnectionError, WriteRefused):
            shard = shard or sink.open(SHARD)
            feed(shard, NUMBERS)
            shard.flush()
    assert world.archived() == list(NUMBERS)
    finish(world)


def test_a_commit_in_parts_is_what_it_says() -> None:
    world = World()
    life(world, Gate())
    assert len(world.bucket.calls("upload_part")) > 2
    (added,) = world.log.commits[0].files
    assert len(world.bucket.objects[object_key(added.path)]) == added.size
    assert multipart.PART_SIZE >= 5 * 1024 * 1024
