"""Archivers as real processes that end with `os._exit`, or sleep, at each IO call of their lives.

Run as a program: it loads everything, forks a process for each life, and never touches the log itself, whose library
has threads. Prints one JSON object: how many cases, by their kind, and what failed.
"""

import json
import os
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from analytics.archiving.holder import ShardTaken
from analytics.archiving.shard_sink import CommitFailed
from analytics.table.log import AddedFile, DeltaLog, LogEntry, Snapshot
from foundation.bucket import WriteRefused
from foundation.kinesis.records import SequenceNumber
from tests.support.fakes.bucket import FakeBucket, Gate
from tests.support.worlds.lake_world import OTHER_SHARD, SHARD, World, feed, rows

SHARDS = (SHARD, OTHER_SHARD)
EVERYTHING = range(1, 8)
EXITED, FAILED, FINE = 9, 1, 0


class DiskObjects(MutableMapping[str, bytes]):
    """A bucket's objects as files, so that they outlive a process. Of all processes one goes on at a time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __getitem__(self, key: str) -> bytes:
        try:
            return self._path(key).read_bytes()
        except FileNotFoundError:
            raise KeyError(key) from None

    def __setitem__(self, key: str, body: bytes) -> None:
        self._path(key).parent.mkdir(parents=True, exist_ok=True)
        self._path(key).write_bytes(body)

    def __delitem__(self, key: str) -> None:
        self._path(key).unlink()

    def __iter__(self) -> Iterator[str]:
        return (str(path.relative_to(self._folder)) for path in self._folder.rglob("*") if path.is_file())

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _path(self, key: str) -> Path:
        return self._folder / key


@dataclass(frozen=True)
class GatedLog:
    """Delta's own log on disk, whose calls pass a gate."""

    log: DeltaLog
    gate: Gate

    def through(self, gate: Gate) -> "GatedLog":
        return GatedLog(self.log, gate)

    def exists(self) -> bool:
        return self.log.exists()

    def snapshot(self) -> Any:
        return _GatedSnapshot(self.gate.through(self.log.snapshot), self.gate)


@dataclass(frozen=True)
class _GatedSnapshot:
    snapshot: Snapshot
    gate: Gate

    def __getattr__(self, name: str) -> Any:
        return getattr(self.snapshot, name)

    def commit(
        self, files: Sequence[AddedFile], entries: Mapping[str, LogEntry], *, replacing: date | None = None
    ) -> None:
        self.gate.through(lambda: self.snapshot.commit(files, entries, replacing=replacing))


_BUCKET = FakeBucket()


def world_in(folder: Path) -> World:
    bucket = _BUCKET.another()
    bucket.objects = DiskObjects(folder)  # type: ignore[assignment]
    world = World(bucket=bucket)
    log = GatedLog(DeltaLog(str(folder / "log"), {}, world.clock.clock), Gate())
    world.log = log  # type: ignore[assignment]
    return world


def life(world: World, gate: Gate) -> None:
    """Opens two shards, and commits twice."""
    sink = world.sink(gate)
    shards = [sink.open(shard_id) for shard_id in SHARDS]
    for numbers in (range(1, 3), range(3, 5)):
        for shard in shards:
            feed(shard, numbers)
        for shard in shards:
            shard.flush()


def zombies_life(world: World, gate: Gate) -> None:
    """It may learn that its shards are another's; what it must not do is harm."""
    with suppress(CommitFailed, ShardTaken, WriteRefused):
        life(world, gate)


def successors_life(world: World, gate: Gate) -> None:
    """Goes on from where the lake is. Where the gate pauses, it does once it has something to commit."""
    sink = world.sink(gate)
    shards = [sink.open(shard_id) for shard_id in SHARDS]
    for shard in shards:
        feed(shard, range(1, 7))
    with suppress(CommitFailed, ShardTaken, WriteRefused):
        for shard in shards:
            shard.flush()


def look(world: World, _: Gate) -> None:
    """Each shard's rows are the stream's up to some place, each once, wherever a reader looks."""
    for shard_id in SHARDS:
        numbers = sorted(world.archived(shard_id))
        assert numbers == list(range(1, len(numbers) + 1)), (shard_id, numbers)


def finish(world: World, gate: Gate) -> None:
    """A fresh holder reads on to the stream's end, and the lake has each record once."""
    look(world, gate)
    sink = world.sink()
    for shard_id in SHARDS:
        shard = sink.open(shard_id)
        there = int(shard.committed.number) if shard.committed else 0
        assert sorted(world.archived(shard_id)) == list(range(1, there + 1))
        feed(shard, EVERYTHING)
        assert shard.flush() == SequenceNumber(str(EVERYTHING[-1]))
        assert sorted(world.archived(shard_id)) == list(EVERYTHING)


@dataclass
class Process:
    """A forked process that lives in a folder, and pauses or ends at the gate's call."""

    pid: int
    told: int
    tell: int

    @classmethod
    def start(
        cls,
        folder: Path,
        lives: Callable[[World, Gate], None],
        at: int = 0,
        *,
        applied: bool = False,
        pauses: bool = False,
    ) -> "Process":
        (told, child_tell), (child_told, tell) = os.pipe(), os.pipe()
        pid = os.fork()
        if pid:
            os.close(child_tell)
            os.close(child_told)
            return cls(pid, told, tell)
        os.close(told)
        os.close(tell)

        def meet() -> None:
            if not pauses:
                os._exit(EXITED)
            os.write(child_tell, b".")
            os.read(child_told, 1)

        try:
            lives(world_in(folder), Gate(at, meet, applied=applied))
        except BaseException:  # noqa: BLE001 - whatever it is, the parent has to know
            traceback.print_exc()
            os._exit(FAILED)
        os._exit(FINE)

    def paused(self) -> bool:
        """Waits until it pauses, or ends."""
        return os.read(self.told, 1) != b""

    def end(self, *expected: int) -> None:
        """Lets it go on, to its end."""
        with suppress(BrokenPipeError):
            os.write(self.tell, b".")
        _, status = os.waitpid(self.pid, 0)
        os.close(self.told)
        os.close(self.tell)
        code = os.waitstatus_to_exitcode(status)
        assert code in expected, f"exit code {code}"


def run(folder: Path, lives: Callable[[World, Gate], None], *expected: int, **options: Any) -> None:
    process = Process.start(folder, lives, **options)
    assert not process.paused()
    process.end(*expected)


def calls_of(lives: Callable[[World, Gate], None]) -> int:
    """Counted by a process, as everything that opens the log."""
    with tempfile.TemporaryDirectory() as folder:

        def count(world: World, gate: Gate) -> None:
            lives(world, gate)
            (Path(folder) / "calls").write_text(str(gate.calls))

        run(Path(folder), count, FINE)
        return int((Path(folder) / "calls").read_text())


def exits(folder: Path, at: int, applied: bool) -> None:
    run(folder, life, EXITED, at=at, applied=applied)
    run(folder, finish, FINE)


def exits_and_so_does_its_successor(folder: Path, at: int, applied: bool) -> None:
    run(folder, life, EXITED, at=at, applied=applied)
    run(folder, successors_life, EXITED, FINE, at=5 + at % 12, applied=not applied)
    run(folder, finish, FINE)


def sleeps_through_its_successors_life(folder: Path, at: int, applied: bool) -> None:
    zombie = Process.start(folder, zombies_life, at=at, applied=applied, pauses=True)
    assert zombie.paused()
    run(folder, look, FINE)
    run(folder, successors_life, FINE)
    zombie.end(FINE)
    run(folder, finish, FINE)


def wakes_between_its_successors_opening_and_its_commit(folder: Path, at: int, applied: bool) -> None:
    zombie = Process.start(folder, zombies_life, at=at, applied=applied, pauses=True)
    assert zombie.paused()
    successor = Process.start(folder, pausing_before_its_commit, pauses=True)
    assert successor.paused()
    zombie.end(FINE)
    run(folder, look, FINE)
    successor.end(FINE)
    run(folder, finish, FINE)


def pausing_before_its_commit(world: World, gate: Gate) -> None:
    """Once it has opened its shards, and has something to commit."""
    sink = world.sink(gate)
    shards = [sink.open(shard_id) for shard_id in SHARDS]
    for shard in shards:
        feed(shard, range(1, 7))
    gate._event()
    with suppress(CommitFailed, ShardTaken, WriteRefused):
        for shard in shards:
            shard.flush()


ORDERS = (
    exits,
    exits_and_so_does_its_successor,
    sleeps_through_its_successors_life,
    wakes_between_its_successors_opening_and_its_commit,
)


def main() -> None:
    for shard_id in SHARDS:
        for numbers in ((1, 2), (3, 4), (1, 2, 3, 4, 5, 6)):
            rows(*numbers, shard_id=shard_id)
    cases, failures = Counter[str](), list[str]()
    for at in range(1, calls_of(life) + 1):
        for applied in (False, True):
            for order in ORDERS:
                cases[order.__name__] += 1
                try:
                    with tempfile.TemporaryDirectory() as folder:
                        order(Path(folder), at, applied)
                except AssertionError as failure:
                    failures.append(f"{order.__name__} at {at}, applied={applied}: {failure}")
    json.dump({"cases": cases, "failures": failures}, sys.stdout)


if __name__ == "__main__":
    main()
