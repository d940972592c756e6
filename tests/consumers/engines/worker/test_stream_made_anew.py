"""A stream that is deleted and made anew under its name: nothing of it is left out, and what is gone is told."""

from collections.abc import Iterator
from datetime import timedelta

import msgspec
import pytest

from analytics.rotation import RotationPolicy
from analytics.table.layout import ShardPaths
from consumers.archiver import Archiver
from consumers.dead_letters.set_apart import Bad, SetsApart
from consumers.dead_letters.stored import S3DeadLetters
from consumers.diagnostics import PositionRefused, ReadFailed, ShardStopped, StreamCreationUnknown, StreamMadeAnew
from consumers.processing import ProcessorFactory, Progress, ShardAssignment
from events.wire import encode
from foundation.kinesis.records import Batch, Position
from tests.support.builders import an_envelope
from tests.support.fakes.bucket import FakeBucket
from tests.support.worlds.lake_world import KEYS
from tests.support.worlds.lake_world import World as Lake
from tests.support.worlds.worker_world import APPLICATION, World

pytestmark = pytest.mark.slow

SHARD = "shardId-000000000000"


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.end()


def make_anew(world: World, *, shards: int = 1, numbers_go_on: bool = True) -> None:
    """On AWS numbers go on; an emulator that has lost its state may give the same ones again."""
    numbers = world.kinesis.streams["orders"]._numbers
    world.time.advance(60)
    del world.kinesis.streams["orders"]
    world.kinesis.create_stream(StreamName="orders", ShardCount=shards)
    if numbers_go_on:
        world.kinesis.streams["orders"]._numbers = numbers + 10_000_000


@pytest.mark.parametrize("numbers_go_on", [True, False])
@pytest.mark.parametrize("runs_on", [True, False], ids=["while it runs", "while it is down"])
def test_it_is_read_from_its_beginning_and_told(world: World, runs_on: bool, numbers_go_on: bool) -> None:
    running = world.start()
    world.put("old-1", "old-2")
    world.run(30)
    if not runs_on:
        running.stop()
    before = str(world.leases()[SHARD].checkpoint)
    make_anew(world, numbers_go_on=numbers_go_on)
    world.put("new-1", "new-2", "new-3")
    if not runs_on:
        world.start("worker-2")
    world.run(180)
    assert [text for text in world.texts() if text.startswith("new")] == ["new-1", "new-2", "new-3"]
    (told,) = world.all(StreamMadeAnew)
    assert (told.shard_id, told.checkpoint) == (SHARD, before)
    assert world.leases()[SHARD].made_anew
    world.put("new-4")
    world.run(30)
    assert world.texts()[-1] == "new-4"


def test_leases_of_shards_that_the_new_stream_does_not_have_hold_nothing_up(world: World) -> None:
    running = world.start()
    world.kinesis.split_shard(StreamName="orders", ShardToSplit=SHARD, NewStartingHashKey=str(2**127))
    world.put("old")
    world.run(60)
    running.stop()
    make_anew(world)
    world.put("new")
    world.start("worker-2")
    world.run(120)
    assert world.texts() == ["old", "new"]


def test_rows_that_do_not_name_a_creation_are_of_the_stream_that_is_there(world: World) -> None:
    """Those of an older release, and of the KCL."""
    world.put("a")
    world.start().stop_after(30)
    row = world.dynamodb.tables[APPLICATION][SHARD]
    del row["streamCreation"]
    world.put("b")
    world.start("worker-2").stop_after(30)
    assert world.texts() == ["a", "b"]
    assert world.dynamodb.tables[APPLICATION][SHARD]["streamCreation"] == {"S": "20260314T120000000Z"}
    assert world.all(StreamMadeAnew) == []


def test_not_to_be_allowed_to_ask_is_told_once_and_no_stop(world: World) -> None:
    world.kinesis.fail("describe_stream_summary", "AccessDeniedException", times=1000)
    running = world.start()
    world.put("a")
    world.run(300)
    assert world.texts() == ["a"]
    assert len(world.all(StreamCreationUnknown)) == 1
    running.stop()
    make_anew(world)
    world.put("b")
    world.start("worker-2")
    world.run(300)
    refused = world.all(PositionRefused)
    assert refused
    assert "fix" in str(PositionRefused.__doc__)
    assert {type(failed) for failed in world.all(ReadFailed)} == {PositionRefused}
    del world.dynamodb.tables[APPLICATION][SHARD]
    world.run(120)
    assert world.texts() == ["a", "b"]


# What the archiver and the letters call its shards.


class Archived:
    def __init__(self, world: World) -> None:
        self.lake = Lake(clock=world.time)
        self._bucket = FakeBucket("dead-letters")
        self.letters = S3DeadLetters(self._bucket.client, "dead-letters", KEYS)
        self._world = world

    def process(self) -> ProcessorFactory:
        """Another process' own."""
        sink = self.lake.sink(policy=RotationPolicy(rows=1, age=timedelta(0)))
        clock, emit = self._world.time.clock, self._world.happened.append
        apart = SetsApart("archiver", self.letters, clock=clock, emit=emit)
        return lambda assignment: Archiver(
            assignment,
            sink=sink,
            keys=KEYS,
            apart=apart,
            clock=clock,
        )

    def put(self, *causes: str) -> None:
        for cause in causes:
            data = b"not an event" if cause == "bad" else encode(an_envelope(cause=cause))
            self._world.kinesis.put_record(StreamName="orders", Data=data, PartitionKey="order-1")


@pytest.mark.parametrize("numbers_go_on", [True, False])
def test_the_archiver_has_both_streams_whole_each_under_its_own_names(world: World, numbers_go_on: bool) -> None:
    archived = Archived(world)
    for life in range(3):
        world.factory = archived.process()
        running = world.start(f"worker-{life}")
        archived.put(f"a-{life}", "bad", f"b-{life}")
        world.run(120)
        running.stop()
        make_anew(world, numbers_go_on=numbers_go_on)
    rows = archived.lake.visible()
    assert len(rows) == 6
    named = sorted({row["_shard"] for row in rows})
    assert named[0] == SHARD
    assert [name.partition("~")[0] for name in named] == [SHARD] * 3
    places = [(row["_shard"], row["_sequence_number"]) for row in rows]
    assert len(places) == len(set(places))
    assert len({key.split("/")[2] for key in archived.letters.keys("archiver")}) == 3
    assert world.all(ShardStopped) == []


def test_a_lake_of_an_older_release_keeps_its_names(world: World) -> None:
    archived = Archived(world)
    world.factory = archived.process()
    archived.put("a")
    world.start().stop_after(60)
    key = ShardPaths("orders", SHARD).offsets_key
    old = msgspec.json.decode(archived.lake.bucket.objects[key])
    del old["creation"]
    archived.lake.bucket.objects[key] = msgspec.json.encode(old)
    world.factory = archived.process()
    archived.put("b")
    world.start("worker-2").stop_after(60)
    stored = archived.lake.stored(SHARD)
    assert stored is not None
    assert len(archived.lake.visible()) == 2
    assert stored.offsets.creation == "20260314T120000000Z"
    assert {row["_shard"] for row in archived.lake.visible()} == {SHARD}


class SetsEachApart:
    """A notifier that can process nothing."""

    def __init__(self, apart: SetsApart, assignment: ShardAssignment) -> None:
        self._apart, self._assignment = apart, assignment
        self.resume_after: Position = assignment.checkpoint

    def process(self, batch: Batch) -> Progress:
        for record in batch.records:
            self._apart.set_apart(self._assignment, [Bad(record, ValueError("bad"))])
            self.resume_after = record.sequence_number
        return Progress(self.resume_after)

    def flush(self) -> Progress:
        return Progress(self.resume_after)


def test_a_letter_of_a_stream_made_anew_takes_no_earlier_ones_place(world: World) -> None:
    archived = Archived(world)
    apart = SetsApart("notifier", archived.letters, clock=world.time.clock, emit=world.happened.append)
    world.factory = lambda assignment: SetsEachApart(apart, assignment)
    for life in range(2):
        running = world.start(f"worker-{life}")
        world.put("a", "b")
        world.run(60)
        running.stop()
        make_anew(world, numbers_go_on=False)
    assert len(list(archived.letters.keys("notifier"))) == 4
