"""The suite's processors: one whose effects are done at once, and one whose rows wait for a flush."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from consumers.processing import ProcessorFactory, Progress, RecordFailure, ShardAssignment
from foundation.kinesis.records import Batch, Position, Record, Sentinel, position_key
from tests.conformance.hooks import Refused

if TYPE_CHECKING:
    from tests.conformance.scene import Scene


@dataclass(frozen=True)
class Effect:
    shard_id: str
    record: Record

    @property
    def text(self) -> str:
        return self.record.data.decode()


class Notes:
    """A processor whose effect is a note of each record, at once. It knows what it did itself, not what others did."""

    def __init__(self, scene: "Scene", assignment: ShardAssignment) -> None:
        self._scene = scene
        self._done = assignment.checkpoint

    @property
    def resume_after(self) -> Position:
        return self._done

    def process(self, batch: Batch) -> Progress:
        self._scene.note_batch(batch)
        for record in batch.records:
            if position_key(record.sequence_number) <= position_key(self._done):
                continue  # given again after an error that named no record
            try:
                self._scene.before(record)
            except Refused as refused:
                return Progress(self._done, RecordFailure(record.sequence_number, refused.because or refused))
            self._scene.effects.append(Effect(batch.shard_id, record))
            self._scene.after(record)
            self._done = record.sequence_number
        return Progress(self._done)

    def flush(self) -> Progress:
        self._scene.before_flush()
        return Progress(self._done)


class Lake:
    """A processor whose rows wait for a flush, which keeps them and the place behind them in one."""

    def __init__(self, scene: "Scene", assignment: ShardAssignment) -> None:
        self._scene = scene
        self._shard_id = assignment.shard_id
        self._waiting: list[Effect] = []
        self._taken = self.resume_after

    @property
    def resume_after(self) -> Position:
        return self._scene.lake.get(self._shard_id, Sentinel.TRIM_HORIZON)

    def process(self, batch: Batch) -> Progress:
        self._scene.note_batch(batch)
        assert position_key(batch.after) <= position_key(self._taken), "records are missing before this batch"
        for record in batch.records:
            if position_key(record.sequence_number) > position_key(self._taken):
                self._scene.before(record)
                self._waiting.append(Effect(batch.shard_id, record))
                self._taken = record.sequence_number
        return self.flush() if self._scene.file_is_due() else Progress(self.resume_after)

    def flush(self) -> Progress:
        self._scene.before_flush()
        if self._waiting:
            self._scene.effects += self._waiting
            self._waiting = []
            self._scene.lake[self._shard_id] = self._taken
            self._scene.after_flush()
        return Progress(self.resume_after)


def notes(scene: "Scene") -> ProcessorFactory:
    return lambda assignment: Notes(scene, assignment)


def lake(scene: "Scene") -> ProcessorFactory:
    return lambda assignment: Lake(scene, assignment)
