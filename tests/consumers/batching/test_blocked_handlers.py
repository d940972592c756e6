"""Handlers that block, break or hang under the worker: leases are kept, nothing is lost, a stop comes to an end."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from consumers.batching.processor import BatchProcessor
from consumers.batching.rules import BatchRules
from consumers.dead_letters.letters import DeadLetter
from consumers.dead_letters.set_apart import SetsApart
from consumers.diagnostics import LeaseEvicted, LeaseLost, LeaseTaken, ShardDidNotDrain
from consumers.engines.worker.leases.table import LeaseTable
from consumers.engines.worker.settings import WorkerSettings
from consumers.engines.worker.worker import Worker
from consumers.processing import ProcessorFactory, RecordProcessor, ShardAssignment
from foundation.clock import SYSTEM_CLOCK, Clock
from foundation.diagnostics import Diagnostic, Emit
from foundation.kinesis.records import Record, Sentinel, SequenceNumber
from foundation.threads import StartThread
from tests.support.fakes.kinesis import FakeKinesis
from tests.support.fakes.leases import FakeDynamoDB
from tests.support.worlds.worker_world import World

SHARDS = [f"shardId-00000000000{number}" for number in range(4)]
RULES = BatchRules(parallelization_factor=4)


@dataclass
class Handler:
    """Notes each text when `before` has let it through."""

    before: Callable[[str], Any] = lambda _: None
    done: list[str] = field(default_factory=list)

    def hear(self, record: Record) -> str:
        return record.data.decode()

    def order_of(self, heard: str) -> str:
        return heard.partition("-")[0]

    def recall(self, heard: Sequence[str]) -> None:
        pass

    def handle(self, heard: Sequence[str]) -> None:
        for text in heard:
            self.before(text)
        self.done += heard


class Letters(list[DeadLetter]):
    def put(self, letter: DeadLetter) -> None:
        self.append(letter)


def processors(
    handler: Handler, letters: Letters, clock: Clock, emit: Emit, thread: StartThread = threading.Thread
) -> ProcessorFactory:
    apart = SetsApart("notes", letters, clock=clock, emit=emit)

    def factory(assignment: ShardAssignment) -> RecordProcessor:
        return BatchProcessor(handler, assignment, RULES, apart=apart, clock=clock, thread=thread)

    return factory


def a_world(handler: Handler, letters: Letters | None = None, shards: int = 1) -> World:
    world = World(shards=shards)
    world.factory = processors(
        handler,
        Letters() if letters is None else letters,
        world.time.clock,
        world.happened.append,
        world.threads.thread,
    )
    return world


def put_on_shard(kinesis: FakeKinesis, shard: int, *texts: str) -> list[str]:
    """Each text is a key of its own, so that a shard's keys go on beside one that blocks."""
    hash_key = str(shard * 2**128 // len(SHARDS))
    return [
        kinesis.put_record(StreamName="orders", Data=text.encode(), PartitionKey=text, ExplicitHashKey=hash_key)[
            "SequenceNumber"
        ]
        for text in texts
    ]


@pytest.mark.slow
def test_a_handler_blocked_for_a_minute_keeps_its_lease_while_other_shards_go_on() -> None:
    handler = Handler()
    world = a_world(handler, shards=len(SHARDS))
    handler.before = lambda text: world.sleep(60) if text == "0-slow" else None
    world.start(failover_seconds=10.0)
    numbers = {shard: put_on_shard(world.kinesis, shard, f"{shard}-a", f"{shard}-b") for shard in range(len(SHARDS))}
    (slow,) = put_on_shard(world.kinesis, 0, "0-slow")
    world.run(5)
    world.start("worker-2", failover_seconds=10.0, reads_per_second=1.0)
    for turn in range(10):
        for shard in range(1, len(SHARDS)):
            numbers[shard] += put_on_shard(world.kinesis, shard, f"{shard}-later-{turn}")
        world.run(4)
    lease = world.leases()[SHARDS[0]]
    assert lease.owner == "worker-1"
    assert lease.checkpoint is Sentinel.TRIM_HORIZON
    assert not any(text.startswith("0-slow") for text in handler.done)
    assert sum("later" in text for text in handler.done) >= 27
    world.run(30)
    assert not [lost for lost in world.all(LeaseLost) if lost.shard_id == SHARDS[0]]
    assert not [taken for taken in world.all(LeaseTaken) if taken.shard_id == SHARDS[0] and taken.from_worker]
    assert world.leases()[SHARDS[0]].checkpoint == SequenceNumber(slow)
    for shard in range(1, len(SHARDS)):
        assert world.leases()[SHARDS[shard]].checkpoint == SequenceNumber(numbers[shard][-1])
    assert set(handler.done) == {
        "0-slow",
        *(f"{shard}-{text}" for shard in range(4) for text in "ab"),
        *(f"{shard}-later-{turn}" for shard in range(1, 4) for turn in range(10)),
    }
    assert handler.done.count("0-slow") == 1
    world.end()


def test_a_poison_record_inside_an_aggregate_alone_is_a_dead_letter() -> None:
    letters = Letters()
    handler = Handler()
    world = a_world(handler, letters)

    def before(text: str) -> None:
        if text == "text-11":
            raise ValueError(text)

    handler.before = before
    texts = [f"text-{number}" for number in range(20)]
    number = world.put_aggregate(*texts)
    world.start()
    world.run(60)
    assert [(letter.payload, letter.sub_sequence_number) for letter in letters] == [(b"text-11", 11)]
    assert handler.done == [text for text in texts if text != "text-11"]
    assert world.leases()[SHARDS[0]].checkpoint == SequenceNumber(number, 19)
    world.end()


def test_a_handler_that_exits_neither_kills_its_thread_nor_loses_a_record() -> None:
    letters = Letters()
    handler = Handler()
    world = a_world(handler, letters)

    def before(text: str) -> None:
        if text == "b":
            raise SystemExit

    handler.before = before
    world.put("a", "b", "c")
    world.start()
    world.run(60)
    assert [letter.payload for letter in letters] == [b"b"]
    assert sorted(handler.done) == ["a", "c"]
    world.end()


def test_a_handler_that_hangs_cannot_keep_the_worker_and_its_record_is_done_by_the_next() -> None:
    handler = Handler()
    world = a_world(handler)
    handler.before = lambda text: world.sleep(1000) if text == "stuck" else None
    world.put("stuck", "other")
    worker = world.start(drain_seconds=20.0)
    world.run(3)
    worker.stop()
    assert world.time.monotonic() < 60
    assert [event.waited_seconds for event in world.all(ShardDidNotDrain)] == [20.0]
    assert not world.all(LeaseEvicted)
    assert world.leases()[SHARDS[0]].checkpoint is Sentinel.TRIM_HORIZON
    world.freeze("worker-1")
    handler.before = lambda _: None
    world.start("worker-2")
    world.run(30)
    assert "stuck" in handler.done
    world.end()


@pytest.mark.chaos
def test_a_handler_that_really_blocks_keeps_its_lease() -> None:
    """Real threads and real time, six times the failover: nothing simulated but AWS."""
    failover, blocked = 10.0, 60.0
    happened: list[Diagnostic] = []
    release = threading.Event()
    handler = Handler(lambda text: release.wait(blocked) if text == "0-slow" else None)
    kinesis = FakeKinesis(SYSTEM_CLOCK, shards=len(SHARDS))
    dynamodb = FakeDynamoDB()
    letters = Letters()
    stops = [threading.Event(), threading.Event()]

    def a_worker(name: str, stop: threading.Event) -> threading.Thread:
        settings = WorkerSettings(
            application="notes", stream="orders", worker_id=name, failover_seconds=failover, reads_per_second=2.0
        )
        worker = Worker(
            settings,
            kinesis=kinesis.client,
            dynamodb=dynamodb.client,
            factory=processors(handler, letters, SYSTEM_CLOCK, happened.append),
            clock=SYSTEM_CLOCK,
            emit=happened.append,
        )
        thread = threading.Thread(target=worker.run, args=(stop,), name=name)
        thread.start()
        return thread

    def leases() -> dict[str, Any]:
        return dict(LeaseTable(dynamodb.client, "notes", "onlooker").list())

    pause = threading.Event().wait
    threads = [a_worker("worker-1", stops[0])]
    try:
        (slow, *_) = put_on_shard(kinesis, 0, "0-slow")
        started = SYSTEM_CLOCK.monotonic()
        while not (holds := _owner(leases, SHARDS[0])) and SYSTEM_CLOCK.monotonic() - started < 20:
            pause(0.1)
        assert holds == "worker-1"
        pause(0.6)
        threads.append(a_worker("worker-2", stops[1]))
        last = {
            shard: put_on_shard(kinesis, shard, *(f"{shard}-{turn}" for turn in range(20)))[-1] for shard in (1, 2, 3)
        }
        pause(blocked / 2)
        assert len([text for text in set(handler.done) if text != "0-slow"]) == 60
        assert _owner(leases, SHARDS[0]) == "worker-1"
        pause(blocked / 2 + 2 * failover)
        assert handler.done.count("0-slow") == 1
        checkpoints = {shard: leases()[SHARDS[shard]].checkpoint for shard in range(4)}
        assert checkpoints == {shard: SequenceNumber(number) for shard, number in {0: slow, **last}.items()}
        assert not [event for event in happened if isinstance(event, LeaseLost) and event.shard_id == SHARDS[0]]
    finally:
        release.set()
        for stop in stops:
            stop.set()
        for thread in threads:
            thread.join()


def _owner(leases: Callable[[], dict[str, Any]], shard_id: str) -> str | None:
    try:
        lease = leases().get(shard_id)
    except Exception:  # noqa: BLE001 - the table is not there yet
        return None
    return lease.owner if lease else None
