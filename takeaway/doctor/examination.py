"""Gathers a `Checkup`: asks the back end everything that `takeaway doctor` tells. Reads only, and never waits long."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache, partial
from pathlib import Path
from typing import Any

from botocore.exceptions import NoCredentialsError

from analytics.table import table_uri
from consumers.engines.worker.settings import WorkerSettings
from consumers.settings import ConsumerSettings
from consumers.specs import CONSUMERS, ConsumerSpec
from foundation import aws
from foundation.clock import SYSTEM_CLOCK, Clock, Wait, uninterrupted_wait
from foundation.settings import from_environment
from takeaway.doctor import resources
from takeaway.doctor.facts import Checkup, Consumer, DeadLetters, LakeState, Problem, Section, ShardRate
from takeaway.doctor.readers import CONSUMER_SECONDS, SHARDS_SECONDS, ReadingProbe
from takeaway.doctor.settings import as_problem, shown, stack_settings, unreadable
from takeaway.stack import HOME, Asked, Source, Unanswered, merged, unreachable

ASK_SECONDS = 3.0
# These read many objects, each with its own short limit.
_READ_SECONDS = 5.0

Clients = Callable[[str], Any]


def examine(
    sources: Sequence[Source], home: Path = HOME, *, clock: Clock = SYSTEM_CLOCK, wait: Wait | None = None
) -> Checkup:
    """Everything about the stack that these variables lead to, and what `takeaway up` started in `home`."""
    started, told = resources.started(home), shown(sources, home)
    try:
        back_end = resources.back_end(merged(sources), clock)
    except (NoCredentialsError, aws.NoRegion) as error:
        nobody = unreachable(error, merged(sources))
        problem = Problem(Section.SETTINGS, nobody.what, nobody.fix)
        return Checkup(clock.now(), None, settings=told, unsettled=(problem,), processes=started)
    except aws.HalfCredentials as error:
        return Checkup(clock.now(), None, settings=told, unsettled=(as_problem(error),), processes=started)
    found = Checkup(clock.now(), back_end, settings=told, processes=started)
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
    return _examine_what_is_there(found, environ, there, clients, now, clock, wait or uninterrupted_wait())


def _examine_what_is_there(
    found: Checkup,
    environ: Mapping[str, str],
    there: Mapping[str, str],
    clients: Clients,
    now: datetime,
    clock: Clock,
    wait: Wait,
) -> Checkup:
    """Who reads, the dead letters and the lake, all asked at once; nothing of a stream or bucket that is missing.

    `now` is the back end's time.
    """
    letters: dict[str, Asked[DeadLetters]] = {}
    workers: dict[str, WorkerSettings] = {}
    consumers: dict[str, Asked[Consumer]] = {}
    rates: Asked[tuple[ShardRate, ...]] | None = None
    lake: Asked[LakeState] | None = None
    settings = None if found.unsettled else from_environment(ConsumerSettings, environ)
    if settings and "stream" in there:
        probe = ReadingProbe(clients("kinesis"), settings.stream, now, clock)
        for name, spec in CONSUMERS.items():
            workers[name] = _worker_settings(spec, settings, environ)
            look = partial(probe.consumer, name, clients("dynamodb"), workers[name], wait)
            consumers[name] = Asked(look, CONSUMER_SECONDS, clock)
        rates = Asked(probe.rates, SHARDS_SECONDS + ASK_SECONDS, clock)
    if bucket := there.get("dead_letter_bucket"):
        for name in CONSUMERS:
            letters[name] = Asked(partial(resources.dead_letters, clients("s3"), bucket, name), _READ_SECONDS, clock)
    if bucket := there.get("lake_bucket"):
        lake = Asked(partial(resources.lake, environ, bucket), _READ_SECONDS, clock)
    return dataclasses.replace(
        found,
        dead_letters=tuple(_letters(name, one.answer(), there) for name, one in letters.items()),
        lake=_lake(lake.answer(), there) if lake else None,
        rates=_rates(rates.answer()) if rates else (),
        consumers=tuple(_consumer(name, one.answer(), workers[name]) for name, one in consumers.items()),
    )


def _consumer(name: str, answer: Consumer | Unanswered, settings: WorkerSettings) -> Consumer:
    if isinstance(answer, Unanswered):
        return Consumer(name, settings.application, settings.reads_per_second, trouble=answer.reason)
    return answer


def _rates(answer: tuple[ShardRate, ...] | Unanswered) -> tuple[ShardRate, ...]:
    return (ShardRate("every shard", None, answer.reason),) if isinstance(answer, Unanswered) else answer


def _letters(name: str, answer: DeadLetters | Unanswered, there: Mapping[str, str]) -> DeadLetters:
    if isinstance(answer, Unanswered):
        return DeadLetters(name, f"s3://{there['dead_letter_bucket']}/{name}/", trouble=answer.reason)
    return answer


def _lake(answer: LakeState | Unanswered, there: Mapping[str, str]) -> LakeState:
    if isinstance(answer, Unanswered):
        return LakeState(table_uri(there["lake_bucket"]), trouble=answer.reason)
    return answer


def _worker_settings(spec: ConsumerSpec, settings: ConsumerSettings, environ: Mapping[str, str]) -> WorkerSettings:
    """As the consumer's own workers have them; the name is for a worker that takes no lease."""
    return WorkerSettings(
        application=settings.application(spec),
        stream=settings.stream,
        worker_id="doctor",
        failover_seconds=settings.failover_seconds,
        reads_per_second=spec.reads(environ),
    )
