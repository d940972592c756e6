"""The worker: looks after leases, and runs a thread for each shard it holds one of."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from consumers.diagnostics import (
    LeaseCreated,
    LeaseDeleted,
    LeaseNotOurs,
    LeaseRequested,
    LeaseTaken,
    LeaseUnreadable,
    RoundFailed,
    StreamCreationUnknown,
    StreamMadeAnew,
    WorkerStarted,
    WorkerStopped,
)
from consumers.engines.health import ShardHealth
from consumers.engines.worker.leases import (
    CannotJoin,
    Fleet,
    HeldLease,
    KclFleet,
    Lease,
    LeaseKeeper,
    Leases,
    LeaseTable,
    OwnFleet,
    not_ours,
    of_streams_before,
    position_text,
    to_create,
    to_delete,
)
from consumers.engines.worker.reading import (
    BatchReader,
    EndOfShard,
    FanOutReader,
    ShardCursor,
    ShardReader,
    StreamConsumer,
)
from consumers.engines.worker.settings import WorkerSettings
from consumers.engines.worker.shard_threads import ShardThreads
from consumers.engines.worker.shard_worker import ShardWorker
from consumers.processing import ProcessorFactory
from foundation.backoff import pause_after
from foundation.clock import Clock, Wait
from foundation.diagnostics import Emit
from foundation.kinesis import Sentinel, Shard, creation_of, decoding, listed_shards
from foundation.threads import StartThread

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_kinesis import KinesisClient

# A shard that ends wakes the worker at most this late, so that its children are not kept waiting for a round.
_GLANCE_SECONDS = 1.0


class Worker:
    """One of an application's workers; together they read every shard of the stream, each by one worker at a time.

    `wait` and `thread` are `threading`'s own outside tests.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        *,
        kinesis: "KinesisClient",
        dynamodb: "DynamoDBClient",
        factory: ProcessorFactory,
        clock: Clock,
        emit: Emit,
        wait: Callable[[threading.Event, float], bool] = threading.Event.wait,
        thread: StartThread = threading.Thread,
    ) -> None:
        self._settings = settings
        self._kinesis = decoding(kinesis)
        self._consumer = StreamConsumer(kinesis, settings.stream, settings.application, emit=emit)
        self._factory = factory
        self._clock = clock
        self._emit = emit
        self._wait = wait
        self._thread = thread
        self._threads = ShardThreads(thread=thread, clock=clock, emit=emit)
        self._table = LeaseTable(dynamodb, settings.application, settings.worker_id)
        self._fleet = self._fleet_of(settings, dynamodb)
        self._keeper = LeaseKeeper(
            self._table,
            throughput=self._fleet.throughput,
            clock=clock,
            failover=settings.failover_seconds,
            emit=emit,
        )
        self._shards: dict[str, Shard] = {}
        self._creation: str | None = None
        self._creation_unknown = False
        self._synced_at: float | None = None
        self._troubles: set[LeaseUnreadable] = set()
        self._not_ours: set[LeaseNotOurs] = set()
        self._has_table = False

    def run(self, stop: threading.Event) -> None:
        """Works until `stop` is set; then every shard drains, checkpoints and lets its lease go.

        Whatever goes wrong with a look at the leases, the shards that are held are read on, and the next look may work.
        Raises `CannotJoin`; and when the thread that keeps the leases is dead, an error: both after draining.
        """
        self._emit(WorkerStarted(self._settings.worker_id, self._settings.stream))
        keeper_ending = threading.Event()
        keeper = self._thread(
            target=partial(self._keeper.run, partial(self._wait, keeper_ending)), name="lease keeper", daemon=True
        )
        keeper.start()
        failures = 0
        try:
            while not stop.is_set():
                try:
                    pause = self._round(stop)
                    failures = 0
                except CannotJoin:
                    raise
                except Exception as error:  # noqa: BLE001 - it is told, and must not end what works: the shards held
                    failures += 1
                    pause = min(self._settings.round_seconds, pause_after(failures))
                    self._emit(RoundFailed(error, pause))
                if not keeper.is_alive():
                    raise RuntimeError("the lease keeper's thread died. fix: see its traceback; run the worker again")
                self._rest(stop, pause)
        finally:
            self._drain()
            keeper_ending.set()
            keeper.join()
            self._emit(WorkerStopped(self._settings.worker_id))

    def _fleet_of(self, settings: WorkerSettings, dynamodb: "DynamoDBClient") -> Fleet:
        if settings.fleet == "kcl":
            return KclFleet(
                dynamodb,
                settings.application,
                settings.worker_id,
                look_seconds=settings.round_seconds,
                clock=self._clock,
            )
        return OwnFleet(
            self._table,
            failover=settings.failover_seconds,
            usual=settings.round_seconds,
            soon=settings.soon_seconds,
        )

    def _round(self, stop: threading.Event) -> float:
        """One look at the leases, and what follows from it; answers in how many seconds the next is due."""
        self._fleet.join()
        self._has_table = self._has_table or self._table.create(partial(self._wait, stop))
        if not self._has_table:
            return 0.0
        for ended in self._threads.bury():
            self._keeper.drop(ended)
        started = self._clock.monotonic()
        if self._synced_at is None or started - self._synced_at >= self._settings.shard_sync_seconds:
            self._sync()
            self._synced_at = started
        leases, look_in = self._look(stop)
        for lease in to_delete(leases, self._shards.keys()):
            self._table.delete(lease)
            self._emit(LeaseDeleted(lease.shard_id))
        return look_in

    def _look(self, stop: threading.Event) -> tuple[Leases, float]:
        """Takes and asks for what we should have; in how many seconds to look again."""
        asked_at = self._clock.monotonic()
        leases = self._leases()
        self._tell_troubles(leases)
        moves = self._fleet.look(leases, self._keeper.held, asked_at, self._clock.monotonic())
        look_in = moves.look_in
        for lease in moves.take:
            if stop.is_set():
                break
            if not self._take(lease):
                look_in = min(look_in, self._settings.soon_seconds)
        for lease in moves.ask_for:
            if stop.is_set():
                break
            if self._table.ask_for(lease):
                self._emit(LeaseRequested(lease.shard_id, str(lease.owner)))
        return leases, look_in

    def _leases(self) -> Leases:
        """Our rows of the table. A row of a shard that is newer than those we know has them listed anew."""
        rows = self._table.list()
        found = not_ours(rows, self._settings.stream, self._shards)
        if not self._shards or found.keys() - {each.key for each in self._not_ours}:
            self._shards = self._listed()
            found = not_ours(rows, self._settings.stream, self._shards)
        strangers = {LeaseNotOurs(key, why) for key, why in found.items()}
        for stranger in sorted(strangers - self._not_ours, key=lambda each: each.key):
            self._emit(stranger)
        self._not_ours = strangers
        # guarantee: rows that are not ours are left alone
        return {key: lease for key, lease in rows.items() if key not in found}

    def _listed(self) -> dict[str, Shard]:
        return {shard.shard_id: shard for shard in listed_shards(self._kinesis, self._settings.stream)}

    def _sync(self, ended: tuple[Shard, ...] = ()) -> None:
        """Makes the leases that are missing, also for the children that an ended shard names."""
        self._ask_creation()
        shards = {shard.shard_id: shard for shard in ended} | self._listed()
        self._begin_anew(of_streams_before(self._leases(), self._creation), shards)
        leases = self._leases()
        now = self._table.latest_since(self._clock.now())
        made_anew = any(lease.made_anew for lease in leases.values())
        for missing in to_create(shards.values(), leases, self._settings.start, now):
            lease = replace(missing, creation=self._creation, made_anew=made_anew)
            if self._table.add(lease):
                self._emit(LeaseCreated(lease.shard_id, position_text(lease.checkpoint)))
        self._shards = shards

    def _ask_creation(self) -> None:
        """Not to be allowed to ask is told, once, and what was known before holds."""
        try:
            self._creation = creation_of(self._kinesis, self._settings.stream) or self._creation
        except (ClientError, BotoCoreError) as error:
            if not self._creation_unknown:
                self._emit(StreamCreationUnknown(self._settings.stream, error))
            self._creation_unknown = True
        else:
            self._creation_unknown = False

    def _begin_anew(self, before: list[Lease], shards: Mapping[str, Shard]) -> None:
        """All of the stream that is there now is unread, whatever was read of the one before."""
        for lease in before:
            shard = shards.get(lease.shard_id)
            if shard is None:
                self._table.delete(lease)
                self._emit(LeaseDeleted(lease.shard_id))
                continue
            anew = Lease(
                shard.shard_id,
                Sentinel.TRIM_HORIZON,
                parents=shard.parents,
                hash_keys=shard.hash_keys,
                creation=self._creation,
                made_anew=True,
            )
            if self._table.begin_anew(lease, anew):
                at = position_text(lease.checkpoint)
                self._emit(
                    StreamMadeAnew(self._settings.stream, lease.shard_id, at, str(lease.creation), str(self._creation))
                )

    def _take(self, lease: Lease) -> bool:
        """False when another worker was quicker, or our own thread is not through with the shard yet."""
        if lease.shard_id in self._threads:
            return False
        taken = self._keeper.take(lease, self._creation)
        if taken is None:
            return False
        self._emit(LeaseTaken(lease.shard_id, None if lease.holder == self._settings.worker_id else lease.holder))
        try:
            self._start(taken, lease)
        except BaseException:
            taken.give_up()  # nobody would read it, however long it were kept
            raise
        return True

    def _tell_troubles(self, leases: Leases) -> None:
        """Once, as long as they stay the same."""
        troubles = {LeaseUnreadable(each.shard_id, each.trouble) for each in leases.values() if each.trouble}
        for trouble in sorted(troubles - self._troubles, key=lambda each: each.shard_id):
            self._emit(trouble)
        self._troubles = troubles

    def _start(self, held: HeldLease, lease: Lease) -> None:
        wait = partial(self._wait, held.ending)
        health = ShardHealth(held.shard_id, tell=held.note_trouble, clock=self._clock, emit=self._emit)
        listed = self._shards.get(held.shard_id)
        cursor = ShardCursor(
            self._settings,
            held.shard_id,
            lease.hash_keys or (listed.hash_keys if listed else None),
            held.latest_since,
            clock=self._clock,
            emit=self._emit,
        )
        worker = ShardWorker(
            held,
            self._reader(cursor, wait, health.emit),
            self._fleet.metered(self._factory),
            self._begin_children,
            self._settings,
            wait=wait,
            health=health,
        )
        self._threads.start(worker)

    def _reader(self, cursor: ShardCursor, wait: Wait, emit: Emit) -> BatchReader:
        if self._settings.retrieval == "fan_out":
            return FanOutReader(
                self._kinesis,
                self._settings,
                cursor,
                self._consumer,
                clock=self._clock,
                wait=wait,
                emit=emit,
            )
        return ShardReader(self._kinesis, self._settings, cursor, clock=self._clock, wait=wait, emit=emit)

    def _begin_children(self, shard_id: str, end: EndOfShard) -> frozenset[str]:
        """Called from a shard's thread, before SHARD_END is written: from then on its children may start."""
        self._sync(end.children)
        children = {lease.shard_id for lease in self._table.list().values() if shard_id in lease.parents}
        if not children and not end.gone:
            raise LookupError(f"{shard_id} has ended, and {self._settings.stream} lists no child of it yet")
        return frozenset(children)

    def _rest(self, stop: threading.Event, seconds: float) -> None:
        """Waits for the next round, or until a shard's thread has ended."""
        until = self._clock.monotonic() + seconds
        while (left := until - self._clock.monotonic()) > 0:
            if self._wait(stop, min(left, _GLANCE_SECONDS)):
                return
            if self._threads.have_news:
                return

    def _drain(self) -> None:
        try:
            self._fleet.leave()
        except Exception as error:  # noqa: BLE001 - then others wait for us for the failover time: said, and no more
            self._emit(RoundFailed(error, 0))
        self._threads.drain(self._settings.drain_seconds)
