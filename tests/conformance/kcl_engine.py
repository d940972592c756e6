"""The suite's `kcl`: the real child on its real protocol, under a daemon that reads, leases and reshards as the KCL.

The daemon itself is tried by tests/interop, with the real one.
"""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from consumers.engines.kcl.processor import KclProcessor
from foundation.kinesis.deaggregation import unpack
from foundation.kinesis.hash_keys import HashKeyRange
from foundation.kinesis.records import Position, Record, Sentinel, position_key
from foundation.kinesis.shards import is_gone
from tests.conformance.engine import FIRST, Gone
from tests.conformance.scene import BATCH_RECORDS, STREAM, Scene
from tests.support.fakes.kcl_daemon import FakeDaemon

# The KCL's defaults are longer; nothing here depends on them.
_IDLE_SECONDS = 1.0
_FAILOVER_SECONDS = 10.0
_GRACE_SECONDS = 60.0
_MOST_RECORDS = 10


@dataclass
class _Lease:
    line: FakeDaemon
    owner: "_Daemon | None" = None
    renewed_at: float = 0.0
    is_refused: int = 0


@dataclass
class _Daemon:
    """A process of Java, with a child for each shard it has a lease of."""

    name: str
    stop: threading.Event = field(default_factory=threading.Event)
    exited: bool = False
    thread: threading.Thread | None = None
    children: dict[str, threading.Thread] = field(default_factory=dict)


class KclEngine:
    most_repeated = BATCH_RECORDS

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._leases: dict[str, _Lease] = {}
        self._daemons: list[_Daemon] = []
        self._to_refuse = 0

    def start(self) -> None:
        daemon = _Daemon(f"daemon-{len(self._daemons) + 1}")
        daemon.thread = self._scene.threads.thread(target=lambda: self._run(daemon), name=daemon.name)
        daemon.thread.start()
        self._daemons.append(daemon)

    def stop(self) -> None:
        self._end(self._daemons[-1])

    def crash(self) -> None:
        self.freeze()

    def die(self) -> None:
        name = threading.current_thread().group  # type: ignore[attr-defined]
        self._scene.threads.freeze(name)
        self._scene.run(0)
        raise Gone

    def freeze(self) -> Callable[[], None]:
        name = self._daemons[-1].name
        self._scene.threads.freeze(name)
        return lambda: self._scene.threads.thaw(name)

    def break_checkpoints(self, times: int) -> None:
        self._to_refuse = times

    def lose_answer(self) -> None:
        raise NotImplementedError

    def checkpoint(self, shard_id: str = FIRST) -> Position:
        return self._leases[shard_id].line.checkpoint

    def end(self) -> None:
        for daemon in self._daemons:
            self._scene.threads.thaw(daemon.name)
            self._end(daemon)

    def _end(self, daemon: _Daemon) -> None:
        daemon.stop.set()
        if daemon.thread is not None:
            daemon.thread.join()

    # The daemon's part.

    def _run(self, daemon: _Daemon) -> None:
        while not self._scene.threads.wait(daemon.stop, _IDLE_SECONDS):
            now = self._scene.time.monotonic()
            for lease in self._leases.values():
                if lease.owner is daemon:
                    lease.renewed_at = now
            for shard_id in self._takeable(now):
                self._take(daemon, shard_id, now)
        for child in daemon.children.values():
            child.join()

    def _takeable(self, now: float) -> list[str]:
        held = self._scene.kinesis.streams[STREAM].shards
        parents = {
            shard_id: held[shard_id].parents if shard_id in held else () for shard_id in {**self._leases, **held}
        }
        return [
            shard_id
            for shard_id in parents
            if all(self._has_ended(parent) for parent in parents[shard_id] if parent in parents)
            and not self._has_ended(shard_id)
            and (
                shard_id not in self._leases
                or self._leases[shard_id].owner is None
                or now - self._leases[shard_id].renewed_at > _FAILOVER_SECONDS
            )
        ]

    def _has_ended(self, shard_id: str) -> bool:
        return shard_id in self._leases and self._leases[shard_id].line.checkpoint is Sentinel.SHARD_END

    def _take(self, daemon: _Daemon, shard_id: str, now: float) -> None:
        before = self._leases.get(shard_id)
        checkpoint = before.line.checkpoint if before else Sentinel.TRIM_HORIZON
        line = FakeDaemon(shard_id=shard_id, checkpoint=checkpoint)
        lease = self._leases[shard_id] = _Lease(line, daemon, now)
        line.before_checkpoint = lambda: self._refuse(lease)
        child = daemon.children[shard_id] = self._scene.threads.thread(
            target=lambda: self._feed(daemon, lease), name=shard_id
        )
        child.start()

    def _refuse(self, lease: _Lease) -> None:
        if self._leases[lease.line.shard_id] is not lease:
            lease.line.refusals.append("ShutdownException")
        elif self._to_refuse:
            self._to_refuse -= 1
            lease.line.refusals.append("ThrottlingException")

    def _feed(self, daemon: _Daemon, lease: _Lease) -> None:
        """One child's life. Its exit is the end of its daemon."""
        try:
            self._feed_until_it_is_over(daemon, lease)
        except SystemExit:
            daemon.exited = True
            daemon.stop.set()
        if self._leases[lease.line.shard_id] is lease:
            lease.owner = None

    def _feed_until_it_is_over(self, daemon: _Daemon, lease: _Lease) -> None:
        line, shard_id = lease.line, lease.line.shard_id
        line.start(self._child(daemon))
        delivered = line.checkpoint
        while not daemon.stop.is_set():
            if self._leases[shard_id] is not lease:
                line.lose_lease()
                return
            shard = self._scene.kinesis.streams[STREAM].shards.get(shard_id)
            if shard is None:
                # KinesisDataFetcher takes a shard that is not there for one that was read to its end.
                line.end_shard()
                return
            records = [one for one in self._user_records(shard_id) if _is_behind(one, delivered)][:_MOST_RECORDS]
            if records:
                delivered = records[-1].sequence_number
                line.give(*records)
            elif shard.closed_at is not None:
                line.end_shard()
                return
            else:
                line.give()
            self._scene.threads.wait(daemon.stop, _IDLE_SECONDS)
        if not daemon.exited:
            line.request_shutdown()
            line.lose_lease()

    def _child(self, daemon: _Daemon) -> KclProcessor:
        return KclProcessor(
            STREAM,
            self._scene.factory(),
            is_gone=partial(is_gone, self._scene.kinesis.client, STREAM),
            batch_records=BATCH_RECORDS,
            grace_seconds=_GRACE_SECONDS,
            clock=self._scene.time.clock,
            wait=lambda seconds: self._scene.threads.wait(daemon.stop, seconds),
            emit=self._scene.happened.append,
            tell=lambda *_: None,
        )

    def _user_records(self, shard_id: str) -> Iterator[Record]:
        """As the KCL opens aggregates: a stray one is left out whole, a damaged one is a record like any other."""
        shard = self._scene.kinesis.streams[STREAM].shards[shard_id]
        hash_keys = HashKeyRange(shard.first_hash_key, shard.last_hash_key)
        for raw in self._scene.kinesis.records(shard_id):
            record = _record(raw)
            aggregate = unpack(record)
            if aggregate is None:
                yield record
            elif not aggregate.is_stray(hash_keys):
                yield from aggregate.records


def _record(raw: dict[str, Any]) -> Record:
    return Record(
        raw["SequenceNumber"], raw.get("PartitionKey"), raw["Data"], raw["ApproximateArrivalTimestamp"].timestamp()
    )


def _is_behind(record: Record, position: Position) -> bool:
    return position_key(record.sequence_number) > position_key(position)
