"""Gathers a `Checkup`: asks the back end everything that `takeaway doctor` tells. Reads only, and never waits long."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache, partial
from pathlib import Path
from typing import Any

from botocore.exceptions import NoCredentialsError

from consumers.settings import ConsumerSettings
from consumers.specs import CONSUMERS, ConsumerSpec, readers
from foundation import aws
from foundation.clock import SYSTEM_CLOCK, Clock, Wait, uninterrupted_wait
from foundation.dynamodb import LeftUnread
from foundation.settings import from_environment, variable
from takeaway.doctor import machine, resources
from takeaway.doctor.facts import Checkup, Consumer, DeadLetters, LakeState, OpenOrders, Problem, Section, ShardRate
from takeaway.doctor.orders import open_orders
from takeaway.doctor.rates import RATES_SECONDS
from takeaway.doctor.rates import rates as measured_rates
from takeaway.doctor.settings import (
    as_problem,
    local_token_key,
    shown,
    stack_settings,
    unknown_variables,
    unreadable,
)
from takeaway.overdue import open_look
from takeaway.stack import ENVIRONMENT, HOME, WATCHER, Asked, Source, Unanswered, merged, reason, unreachable
from takeaway.standing import (
    LOOK_SECONDS,
    Application,
    Collector,
    Reader,
    SeenReader,
    foreign_application,
    logged_trouble,
    own_application,
)

ASK_SECONDS = 3.0
# These read many objects, each with its own short limit.
_READ_SECONDS = 5.0
# Of these, for counting what there may be any number of: what is under way then still comes back.
_COUNT_SECONDS = 2.0

Clients = Callable[[str], Any]


def examine(
    sources: Sequence[Source],
    home: Path = HOME,
    *,
    lease_tables: Sequence[str] = (),
    clock: Clock = SYSTEM_CLOCK,
    wait: Wait | None = None,
) -> Checkup:
    """Everything about the stack that these variables lead to, and what `takeaway up` started in `home`.

    `lease_tables` names tables of other applications that read the stream, to be looked at as well.
    """
    found = _this_machine(sources, home, clock)
    try:
        back_end = resources.back_end(merged(sources), clock)
    except (NoCredentialsError, aws.NoRegion) as error:
        nobody = unreachable(error, merged(sources))
        return dataclasses.replace(found, unsettled=(Problem(Section.SETTINGS, nobody.what, nobody.fix),))
    except aws.HalfCredentials as error:
        return dataclasses.replace(found, unsettled=(as_problem(error),))
    found = dataclasses.replace(found, back_end=back_end)
    if back_end.trouble is not None:
        return found
    from_stack, unsettled = stack_settings(merged(sources), ASK_SECONDS)
    sources = [*sources, *from_stack]
    environ = merged(sources)
    if not unsettled:
        unsettled = unreadable(environ, home)
    found = dataclasses.replace(found, settings=shown(sources, home), unsettled=unsettled)
    clients = cache(partial(aws.client, environ=environ))
    of_stack = resources.resources(environ, clients, ASK_SECONDS)
    there = {field: one.name for field, one in of_stack.items() if one.there}
    named = tuple(of_stack.values())
    if from_stack:
        named = (resources.stack(environ, clients, ASK_SECONDS), *named)
    found = dataclasses.replace(found, resources=named)
    now = clock.now() - timedelta(seconds=back_end.clock_ahead_seconds or 0)
    look = _Look(home, environ, clients, now, clock, wait or uninterrupted_wait())
    return look.examine(found, there, lease_tables)


def _this_machine(sources: Sequence[Source], home: Path, clock: Clock) -> Checkup:
    """What can be told whatever else is away."""
    environ = merged(sources)
    key = environ.get(variable("token_key")) or local_token_key(environ, home)
    named = {source.name: source.values for source in sources if source.name == ENVIRONMENT}
    named |= machine.own_variables(home)
    return Checkup(
        clock.now(),
        None,
        settings=shown(sources, home),
        unknown_variables=unknown_variables(named),
        disks=machine.disks(home),
        processes=machine.started(home, {**environ, variable("token_key"): key}),
    )


@dataclasses.dataclass(frozen=True)
class _Look:
    """One look at all that answers. `now` is the back end's time."""

    home: Path
    environ: Mapping[str, str]
    clients: Clients
    now: datetime
    clock: Clock
    wait: Wait

    def examine(self, found: Checkup, there: Mapping[str, str], lease_tables: Sequence[str]) -> Checkup:
        """Consumers, orders, dead letters and lake, all asked at once; nothing of a part that is missing."""
        letters: dict[str, Asked[DeadLetters]] = {}
        consumers: list[tuple[Consumer, Asked[SeenReader]]] = []
        rates: Asked[tuple[ShardRate, ...]] | None = None
        lake: Asked[LakeState] | None = None
        orders: Asked[OpenOrders] | None = None
        settings = None if found.unsettled else from_environment(ConsumerSettings, self.environ)
        if settings and "stream" in there:
            own = machine.own_variables(self.home)
            if "tracker_table" in there:
                orders = self._asked_orders(settings.stream, own.get(WATCHER, {}))
            logs = {one.name: Path(one.log) for one in found.processes if one.up}
            for name, spec in readers().items():
                application = own_application(spec, settings, {**self.environ, **own.get(name, {})})
                consumer = self._consumer(spec, settings, application, logs.get(name))
                consumers.append((consumer, self._asked(settings.stream, application.reader)))
            for name in lease_tables:
                application = foreign_application(name)
                consumer = Consumer(name, name, application.pace_seconds, application.start)
                consumers.append((consumer, self._asked(settings.stream, application.reader)))
            measure = partial(measured_rates, self.clients("kinesis"), settings.stream, self.now, self.clock)
            rates = Asked(measure, RATES_SECONDS + ASK_SECONDS, self.clock)
        if bucket := there.get("dead_letter_bucket"):
            for name in CONSUMERS:
                look = partial(resources.dead_letters, self.clients("s3"), bucket, name, _COUNT_SECONDS, self.clock)
                letters[name] = Asked(look, _READ_SECONDS, self.clock)
        if bucket := there.get("lake_bucket"):
            lake = Asked(partial(resources.lake, self.environ, bucket), _READ_SECONDS, self.clock)
        return dataclasses.replace(
            found,
            dead_letters=tuple(_letters(name, one.answer(), there) for name, one in letters.items()),
            lake=_lake(lake.answer(), there) if lake else None,
            rates=_rates(rates.answer()) if rates else (),
            consumers=tuple(_seen(consumer, one.answer()) for consumer, one in consumers),
            orders=_orders(orders) if orders else None,
        )

    def _consumer(
        self, spec: ConsumerSpec, settings: ConsumerSettings, application: Application, log: Path | None
    ) -> Consumer:
        polls = settings.retrieval == "polling"
        return Consumer(
            spec.name,
            application.reader.lease_table,
            application.pace_seconds,
            application.start,
            reads_per_second=spec.reads(self.environ) if polls else None,
            bytes_per_second=settings.read_bytes_per_second if polls else None,
            logged=logged_trouble(log, self.clock.now()) if log else None,
        )

    def _asked_orders(self, stream: str, watcher: Mapping[str, str]) -> Asked[OpenOrders]:
        dynamodb, kinesis = self.clients("dynamodb"), self.clients("kinesis")
        look = open_look(self.environ, watcher, dynamodb=dynamodb, kinesis=kinesis, stream=stream, wait=self.wait)
        return Asked(partial(open_orders, look, self.now), _READ_SECONDS, self.clock)

    def _asked(self, stream: str, reader: Reader) -> Asked[SeenReader]:
        collector = Collector(
            self.clients("kinesis"), self.clients("dynamodb"), stream, self.now, self.clock, self.wait
        )
        return Asked(partial(collector.look, reader), LOOK_SECONDS + reader.look_seconds, self.clock)


def _seen(consumer: Consumer, answer: SeenReader | Unanswered) -> Consumer:
    if isinstance(answer, Unanswered):
        return dataclasses.replace(consumer, trouble=answer.reason)
    return dataclasses.replace(consumer, ran=answer.ran, shards=answer.shards)


def _orders(asked: Asked[OpenOrders]) -> OpenOrders:
    try:
        answer = asked.answer()
    except LeftUnread as error:
        return OpenOrders(trouble=reason(error))
    return OpenOrders(trouble=answer.reason) if isinstance(answer, Unanswered) else answer


def _rates(answer: tuple[ShardRate, ...] | Unanswered) -> tuple[ShardRate, ...]:
    return (ShardRate("every shard", None, answer.reason),) if isinstance(answer, Unanswered) else answer


def _letters(name: str, answer: DeadLetters | Unanswered, there: Mapping[str, str]) -> DeadLetters:
    if isinstance(answer, Unanswered):
        return DeadLetters(name, f"s3://{there['dead_letter_bucket']}/{name}/", trouble=answer.reason)
    return answer


def _lake(answer: LakeState | Unanswered, there: Mapping[str, str]) -> LakeState:
    from analytics.table import table_uri

    if isinstance(answer, Unanswered):
        return LakeState(table_uri(there["lake_bucket"]), trouble=answer.reason)
    return answer
