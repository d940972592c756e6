"""What all engines are tried on, on simulated time: a stream, what is put on it, and what came of it."""

from collections.abc import Callable
from typing import Any, TypeVar

from consumers.processing import ProcessorFactory, RecordProcessor, ShardAssignment
from foundation.diagnostics import Diagnostic
from foundation.kinesis.records import Batch, Position, Record
from tests.conformance.engine import FIRST, Engine
from tests.conformance.hooks import nothing
from tests.conformance.processors import Effect, notes
from tests.support.builders import packed
from tests.support.fakes.clock import FakeClock
from tests.support.fakes.kinesis import FakeKinesis
from tests.support.fakes.kinesis_stream import HASH_KEYS, hash_key
from tests.support.fakes.threads import SimulatedThreads

DiagnosticT = TypeVar("DiagnosticT", bound=Diagnostic)

STREAM = "orders"
HALF = HASH_KEYS // 2
TEXTS = [f"text-{number:02}" for number in range(20)]
# An engine gives a processor so many records at a time.
BATCH_RECORDS = 4
# Long enough for a lease to run out and its shard to be read to its end again.
TAKE_OVER = 60.0


class Scene:
    """Everything runs on simulated time, one thread at a time, always in the same order."""

    def __init__(self, *, shards: int = 1, number_width: int = 56) -> None:
        self.time = FakeClock()
        self.threads = SimulatedThreads(self.time)
        self.kinesis = FakeKinesis(self.time.clock, shards=shards, number_width=number_width)
        self.happened: list[Diagnostic] = []
        self.effects: list[Effect] = []
        self.batches: list[Batch] = []
        self.consumer: Callable[[Scene], ProcessorFactory] = notes
        self.before: Callable[[Record], Any] = nothing
        self.after: Callable[[Record], Any] = nothing
        self.before_flush: Callable[[], Any] = lambda: None
        self.after_flush: Callable[[], Any] = lambda: None
        self.before_opening: Callable[[], Any] = lambda: None
        self.lake: dict[str, Position] = {}
        self.file_is_due: Callable[[], bool] = lambda: False
        self.put_texts: list[tuple[str, str]] = []

    def factory(self) -> ProcessorFactory:
        """A process' own."""
        make = self.consumer(self)

        def opened(assignment: ShardAssignment) -> RecordProcessor:
            self.before_opening()
            return make(assignment)

        return opened

    def note_batch(self, batch: Batch) -> None:
        self.batches.append(batch)

    def run(self, seconds: float) -> None:
        self.threads.run(seconds)

    # The stream.

    def put(self, *texts: str, key: str = "order-1") -> list[str]:
        self.put_texts += [(key, text) for text in texts]
        return [
            self.kinesis.put_record(StreamName=STREAM, Data=text.encode(), PartitionKey=key)["SequenceNumber"]
            for text in texts
        ]

    def put_data(self, *data: bytes, key: str = "order-1") -> None:
        for each in data:
            self.kinesis.put_record(StreamName=STREAM, Data=each, PartitionKey=key)

    def put_without_key(self, *data: bytes) -> None:
        for each in data:
            self.kinesis.put_without_key(each)

    def put_aggregate(self, *texts: str, key: str = "order-1", outer_key: str | None = None) -> str:
        self.put_texts += [(key, text) for text in texts]
        data = packed([text.encode() for text in texts], key)
        return str(
            self.kinesis.put_record(StreamName=STREAM, Data=data, PartitionKey=outer_key or key)["SequenceNumber"]
        )

    def split(self, shard_id: str = FIRST, at: int = HALF) -> None:
        self.kinesis.split_shard(StreamName=STREAM, ShardToSplit=shard_id, NewStartingHashKey=str(at))

    def merge(self, first: str, second: str) -> None:
        self.kinesis.merge_shards(StreamName=STREAM, ShardToMerge=first, AdjacentShardToMerge=second)

    # What came of it.

    @property
    def texts(self) -> list[str]:
        """What was noted, in the order it was."""
        return [effect.text for effect in self.effects]

    def all(self, kind: type[DiagnosticT]) -> list[DiagnosticT]:
        return [happening for happening in self.happened if isinstance(happening, kind)]

    def nothing_lost(self) -> bool:
        return {text for _, text in self.put_texts} <= set(self.texts)

    @property
    def repeats(self) -> int:
        return len(self.texts) - len(set(self.texts))

    def in_order(self) -> bool:
        """Each key's events came in their order; what came again was followed, in order, by what is behind it."""
        texts: dict[str, list[str]] = {}
        for key, text in self.put_texts:
            texts.setdefault(key, []).append(text)
        return all(_is_in_order(wanted, [text for text in self.texts if text in wanted]) for wanted in texts.values())


def _is_in_order(wanted: list[str], noted: list[str]) -> bool:
    """Never further than one step on from the furthest, whatever is repeated."""
    places = [wanted.index(text) for text in noted]
    furthest = -1
    for before, place in zip([-1, *places], places, strict=False):
        if place > furthest + 1 or (place > before + 1):
            return False
        furthest = max(furthest, place)
    return True


def another_process(scene: Scene, engine: Engine) -> None:
    """One has died some time ago; another takes over."""
    scene.run(20)
    engine.start()
    scene.run(TAKE_OVER)


def key_of_half(*, below: bool) -> str:
    """A partition key of the lower or the upper half of the stream."""
    return next(key for key in (f"key-{number}" for number in range(99)) if (hash_key(key) < HALF) is below)
