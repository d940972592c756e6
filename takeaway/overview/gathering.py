"""Gathers an `Overview`, look by look: every service is asked at once, with a time limit. Reads only.

One that does not answer hides nothing of the others, and is not asked again before its last question has come back.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from botocore.config import Config
from botocore.exceptions import ClientError

from consumers.engines.worker.leases import Lease, LeaseTable
from consumers.settings import ConsumerSettings
from consumers.specs import CONSUMERS, ConsumerSpec, readers
from foundation import aws
from foundation.clock import Clock, Wait
from foundation.error_codes import error_code
from foundation.settings import from_environment, variable
from takeaway.doctor import (
    BackEnd,
    DeadLetters,
    Process,
    back_end,
    dead_letters,
    own_variables,
    processes,
)
from takeaway.overdue import FoundOpen, open_look
from takeaway.overview.asking import Question
from takeaway.overview.consumers import Glance, ReadBy, consumer_flow, glances
from takeaway.overview.facts import ConsumerFlow, EventFlow, Orders, Overview, ShardFlow, Unknown
from takeaway.overview.orders import OrdersLook
from takeaway.overview.stream import StreamWatch
from takeaway.overview.stretch import Lately, Mark, ShardRecords
from takeaway.stack import DEFAULT_STACK, WATCHER
from takeaway.standing import RENEWALS, own_application

# Each question's limit. Long enough for a busy machine: what answers late is not dead.
PART_SECONDS = 5.0
# Of that, for counting letters, of which there may be any number.
_COUNT_SECONDS = 1.5
# How often what costs more is asked again. Each listing of letters is a request for every thousand of them.
_LETTERS_EVERY, _ORDERS_EVERY = 15.0, 4.0
# A question that is given up comes back soon by itself.
_CONFIG = Config(connect_timeout=2, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 1})
# A holder that has let one and a half renewals pass is late, and no longer only busy; and a look is a moment late.
_PATIENCE = 2.0


@dataclass(frozen=True)
class _Read:
    """What one look at the stream gave: `records` by shard, of those that could be read."""

    shards: tuple[ShardFlow, ...]
    events: tuple[EventFlow, ...]
    records: Mapping[str, ShardRecords]
    reads: int


class Gatherer:
    """Looks at one running stack. `home` is where `takeaway up` keeps what it started. For one thread.

    Each service is given `within` seconds at most; leases come first, since they say from where a shard is to be read.
    Raises `SettingsError` for settings that lead to no stack.
    """

    def __init__(
        self, environ: Mapping[str, str], home: Path, *, clock: Clock, wait: Wait, within: float = PART_SECONDS
    ) -> None:
        self._environ = environ
        self._home = home
        self._clock = clock
        self._settings = from_environment(ConsumerSettings, environ)
        self._since = clock.now()
        self._last_look: float | None = None
        self._ahead = timedelta(0)
        self._glances: dict[str, Mapping[str, Glance]] = {}
        self._own = own_variables(home)
        dynamodb, kinesis, s3 = (self._client(name) for name in ("dynamodb", "kinesis", "s3"))
        self._watch = StreamWatch(kinesis, self._settings.stream, clock, self._since)
        self._marks: dict[str, list[Mark]] = {}
        self._stream = Question(self._read_stream, within, clock)
        self._leases = {
            name: Question(partial(_leases, dynamodb, self._settings.application(spec)), within, clock)
            for name, spec in readers().items()
        }
        self._back_end = Question(partial(back_end, environ, clock), within, clock, every=60)
        stream, watcher = self._settings.stream, self._own.get(WATCHER, {})
        look = open_look(environ, watcher, dynamodb=dynamodb, kinesis=kinesis, stream=stream, wait=wait)
        orders = OrdersLook(look)
        self._found_open, self._lately = FoundOpen(), Lately()
        self._open = Question(look.open, within, clock, _ORDERS_EVERY)
        self._orders = Question(
            lambda: orders.told(self._found_open, self._lately.orders, self._now()), within, clock, _ORDERS_EVERY
        )
        bucket = environ.get(variable("dead_letter_bucket"), "")
        self._letters = {
            name: Question(
                partial(dead_letters, s3, bucket, name, _COUNT_SECONDS, clock, read=0), within, clock, _LETTERS_EVERY
            )
            for name in (CONSUMERS if bucket else ())
        }

    def look(self) -> Overview:
        """One look at everything; takes as long as the slowest answer, and no longer than the limits."""
        started = self._clock.monotonic()
        others: list[Question[Any]] = [self._back_end, self._open, *self._letters.values()]
        for question in (*self._leases.values(), *others):
            question.begin()
        local = processes(self._home)
        found = self._found(local)
        self._marks = _marks([one for one in found.values() if isinstance(one, ReadBy)])
        self._stream.begin()
        read = self._stream.answer()
        told_back_end = self._back_end.answer()
        if isinstance(told_back_end, BackEnd) and told_back_end.clock_ahead_seconds is not None:
            self._ahead = timedelta(seconds=told_back_end.clock_ahead_seconds)
        orders = self._orders_told(read)
        letters = tuple(_letters(name, one.answer(), self._environ) for name, one in self._letters.items())
        consumers = self._consumers(found, read, started)
        self._last_look = started
        return Overview(
            at=self._now(),
            since=self._since,
            endpoint=told_back_end.endpoint if isinstance(told_back_end, BackEnd) else "AWS",
            stack=self._environ.get(variable("stack"), DEFAULT_STACK),
            shards=read if isinstance(read, Unknown) else read.shards,
            events=read if isinstance(read, Unknown) else read.events,
            consumers=consumers,
            letters=letters if self._letters else Unknown(f"{variable('dead_letter_bucket')} is not set"),
            orders=orders,
            processes=local,
            reads=0 if isinstance(read, Unknown) else read.reads,
            took_seconds=self._clock.monotonic() - started,
        )

    def _orders_told(self, read: "_Read | Unknown") -> Orders | Unknown:
        found = self._open.answer()
        if isinstance(found, Unknown):
            return found
        self._found_open = found
        if not isinstance(read, Unknown):
            self._lately.note(read.records.values())
        self._orders.begin()
        return self._orders.answer()

    def _found(self, local: Sequence[Process]) -> dict[str, ReadBy | Unknown]:
        by_name = {one.name: one for one in local}
        found: dict[str, ReadBy | Unknown] = {}
        for name, question in self._leases.items():
            leases = question.answer()
            spec = readers()[name]
            found[name] = leases if isinstance(leases, Unknown) else self._read_by(spec, leases, by_name.get(name))
        return found

    def _read_by(self, spec: ConsumerSpec, told: "_Leases", process: Process | None) -> ReadBy:
        patience = self._settings.failover_seconds / RENEWALS * _PATIENCE
        now = self._clock.monotonic()
        leases = None if told.leases is None else glances(self._glances.get(spec.name), told.leases, now, patience)
        # As its process on this machine is, if there is one: that may keep another pace.
        application = own_application(spec, self._settings, {**self._environ, **self._own.get(spec.name, {})})
        reader = application.reader
        return ReadBy(spec, reader.lease_table, leases, application.pace_seconds, reader.start_at, process)

    def _read_stream(self) -> _Read:
        now = self._now()
        reads = self._watch.look(self._marks, now)
        return _Read(self._watch.flows(now), self._watch.events(now), dict(self._watch.shards), reads)

    def _consumers(
        self, found: Mapping[str, ReadBy | Unknown], read: _Read | Unknown, started: float
    ) -> tuple[ConsumerFlow, ...]:
        looked = started - self._last_look if self._last_look is not None else 0.0
        records = {} if isinstance(read, Unknown) else read.records
        flows = []
        for name, one in found.items():
            if isinstance(one, Unknown):
                spec = readers()[name]
                flows.append(ConsumerFlow(name, self._settings.application(spec), ran=True, trouble=one.unknown))
                continue
            flows.append(consumer_flow(one, self._glances.get(name), records, self._now(), looked))
            self._glances[name] = one.leases or {}
        return tuple(flows)

    def _client(self, service: str) -> Any:
        return aws.client(service, self._environ, _CONFIG)

    def _now(self) -> datetime:
        """The back end's time."""
        return self._clock.now() - self._ahead


@dataclass(frozen=True)
class _Leases:
    """Of a lease table; None where there is no such table."""

    leases: Mapping[str, Lease] | None


def _leases(dynamodb: Any, table: str) -> _Leases:
    try:
        return _Leases(LeaseTable(dynamodb, table, "looks on").list())
    except ClientError as error:
        if error_code(error) != "ResourceNotFoundException":
            raise
        return _Leases(None)


def _marks(found: Iterable[ReadBy]) -> dict[str, list[Mark]]:
    """The checkpoints on each shard. One that never ran has none: all of the stream is not read for it."""
    marks: dict[str, list[Mark]] = {}
    for one in found:
        for shard_id, mark in one.marks.items():
            marks.setdefault(shard_id, []).append(mark)
    return marks


def _letters(name: str, told: DeadLetters | Unknown, environ: Mapping[str, str]) -> DeadLetters:
    if isinstance(told, Unknown):
        return DeadLetters(name, f"s3://{environ[variable('dead_letter_bucket')]}/{name}/", trouble=told.unknown)
    return told
