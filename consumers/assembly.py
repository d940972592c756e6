"""Introduces processors, engines and AWS to each other. Each builder imports what it builds, and nothing else."""

import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from threading import Thread
from typing import TYPE_CHECKING

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from consumers.dead_letters import DeadLetters, GivesNewerAgain, S3DeadLetters
from consumers.processing import ProcessorFactory, RecordProcessor, ShardAssignment
from consumers.settings import ConsumerSettings
from consumers.specs import CONSUMERS, ConsumerSpec, fed_by, named, reader_named
from consumers.steps import DynamoDBOutcomes, DynamoDBStates, forget_state
from events import KNOWN_EVENTS, Step, require_reading
from foundation import aws
from foundation.clock import SYSTEM_CLOCK, Wait, uninterrupted_wait
from foundation.diagnostics import Emit
from foundation.ids import random_id
from foundation.settings import SettingsError, from_environment, setting, variable

if TYPE_CHECKING:
    from analytics.privacy import CustomerKeys
    from consumers.engines.aws_lambda import KinesisFunction
    from consumers.engines.kcl import DaemonSettings, LeaseNotes
    from consumers.engines.worker.leases import LeaseTable
    from consumers.engines.worker.worker import Worker
    from consumers.redrive import GivesAgain, Redrive
    from foundation.kinesis import HashKeyRange

# Kinesis may take long on a busy local AWS. A connection for each key that is handled at once, on sixteen shards.
_CONFIG = Config(retries={"mode": "standard", "max_attempts": 4}, read_timeout=60, max_pool_connections=128)

# Well within the failover time: one call that hangs must not cost a lease.
_LEASES = Config(retries={"mode": "standard", "total_max_attempts": 2}, connect_timeout=2, read_timeout=3)


def worker(consumer: str, environ: Mapping[str, str], emit: Emit) -> "Worker":
    """The consumer, and those that it hosts, fed by our own engine. Raises `SettingsError` for what `environ` lacks."""
    from consumers.engines.worker.settings import WorkerSettings
    from consumers.engines.worker.worker import Worker

    spec, settings = reader_named(consumer), from_environment(ConsumerSettings, environ)
    start, start_at = settings.first_position_of(spec)
    return Worker(
        WorkerSettings(
            application=settings.application(spec),
            stream=settings.stream,
            start=start,
            start_at=start_at,
            failover_seconds=settings.failover_seconds,
            fleet=settings.fleet,
            retrieval=settings.retrieval,
            reads_per_second=spec.reads(environ),
            read_bytes_per_second=settings.read_bytes_per_second,
            batch_records=settings.batch_records(spec),
        ),
        kinesis=aws.client("kinesis", environ, _CONFIG),
        dynamodb=aws.client("dynamodb", environ, _LEASES),
        factory=processors(spec, settings, environ, emit),
        clock=SYSTEM_CLOCK,
        emit=emit,
    )


def kinesis_function(consumer: str, environ: Mapping[str, str], emit: Emit) -> "KinesisFunction":
    """The consumer, with what it hosts, fed by a Lambda event source mapping; also one that is hosted elsewhere.

    Raises `SettingsError` for what `environ` lacks.
    """
    from consumers.engines.aws_lambda import KinesisFunction

    spec, settings = named(consumer), from_environment(ConsumerSettings, environ)

    def hash_keys_of(stream: str, shard_id: str) -> "HashKeyRange | None":
        from foundation.kinesis import listed_shards

        shards = listed_shards(aws.client("kinesis", environ, _CONFIG), stream)
        return next((shard.hash_keys for shard in shards if shard.shard_id == shard_id), None)

    return KinesisFunction(
        knowing_creation(processors(spec, settings, environ, emit), environ, emit),
        hash_keys_of=hash_keys_of,
        batch_records=settings.batch_records(spec),
        wait=uninterrupted_wait(),
        emit=emit,
    )


def kcl_daemon(consumer: str, environ: Mapping[str, str]) -> "DaemonSettings":
    """The consumer, fed by the KCL. Raises `SettingsError` for what `environ` lacks."""
    from consumers.engines.kcl import DaemonSettings, endpoints

    spec, settings = reader_named(consumer), from_environment(ConsumerSettings, environ)
    start, start_at = settings.first_position_of(spec)
    return DaemonSettings(
        application=settings.application(spec),
        stream=settings.stream,
        child=("consumers.entrypoints.kcl", consumer),
        region=aws.region(environ),
        endpoints=endpoints(environ),
        failover_seconds=settings.failover_seconds,
        reads_per_second=spec.reads(environ),
        start=start,
        start_at=start_at,
        retrieval=settings.retrieval,
    )


def lease_notes(spec: ConsumerSpec, settings: ConsumerSettings, environ: Mapping[str, str], emit: Emit) -> "LeaseNotes":
    """Where a child of the KCL's daemon notes what keeps its shard from getting on."""
    from consumers.engines.kcl import LeaseNotes

    return LeaseNotes(lease_table(spec, settings, environ), clock=SYSTEM_CLOCK, emit=emit)


def knowing_creation(factory: ProcessorFactory, environ: Mapping[str, str], emit: Emit) -> ProcessorFactory:
    """For engines whose daemon or service keeps the places: a process asks once which stream of the name there is."""
    from consumers.diagnostics import StreamCreationUnknown
    from foundation.kinesis import creation_of

    known: dict[str, str | None] = {}

    def knowing(assignment: ShardAssignment) -> RecordProcessor:
        stream = assignment.stream
        if stream not in known:
            try:
                known[stream] = creation_of(aws.client("kinesis", environ, _CONFIG), stream)
            except (ClientError, BotoCoreError) as error:
                known[stream] = None
                emit(StreamCreationUnknown(stream, error))
        return factory(replace(assignment, creation=known[stream]))

    return knowing


def shard_is_gone(stream: str, environ: Mapping[str, str]) -> Callable[[str], bool]:
    """Whether the stream lists a shard no more; False where that cannot be asked."""

    def is_gone(shard_id: str) -> bool:
        from foundation.kinesis import is_gone

        return is_gone(aws.client("kinesis", environ, _CONFIG), stream, shard_id)

    return is_gone


def dead_letters(environ: Mapping[str, str], settings: ConsumerSettings, keys: "CustomerKeys") -> S3DeadLetters:
    return S3DeadLetters(aws.client("s3", environ, _CONFIG), settings.dead_letter_bucket, keys)


def redriver(consumer: str, environ: Mapping[str, str], wait: Wait, emit: Emit) -> "GivesAgain":
    """The way back into the consumer for its dead letters. Raises `SettingsError` for what `environ` lacks."""
    require_reading()
    from analytics.assembly import customer_keys

    spec, settings = named(consumer), from_environment(ConsumerSettings, environ)
    if spec.fills_lake:
        from analytics.assembly import late_rows
        from consumers.redrive.lake import IntoLake

        return IntoLake(late_rows(environ, emit, customer_keys(environ)), SYSTEM_CLOCK)
    from consumers.redrive import NothingRemembered, SetAsideAgain, ThroughProcessor

    # A redrive is one attempt, whatever becomes of others; it gathers nothing, and age is no reason against it.
    settings = replace(settings, max_attempts=1, batching_window_seconds=0, max_record_age_seconds=None)
    again = SetAsideAgain()
    if isinstance(spec.part, Step):
        factory = _performs(spec, settings, environ, emit, again, compares=False)
        return ThroughProcessor(factory, again, _outcomes(spec, settings, environ), wait=wait, emit=emit)
    # What an observer has noted it may note again.
    factory = spec.builder()(settings, environ, emit, customer_keys(environ), again)
    return ThroughProcessor(factory, again, NothingRemembered(), wait=wait, emit=emit)


def processors(
    spec: ConsumerSpec, settings: ConsumerSettings, environ: Mapping[str, str], emit: Emit
) -> ProcessorFactory:
    """What processes the shards of this consumer, and for those that it hosts, under any engine.

    Raises `CannotRead` rather than misread records.
    """
    from analytics.assembly import customer_keys
    from consumers.hosting import hosting

    # guarantee: a process that cannot read its own golden bytes does not start
    require_reading()
    keys = customer_keys(environ)
    letters = dead_letters(environ, settings, keys)
    if isinstance(spec.part, Step):
        return _giving_newer_again(_performs(spec, settings, environ, emit, letters), spec.name, letters, environ, emit)
    observers = {one.name: one.builder()(settings, environ, emit, keys, letters) for one in fed_by(spec)}
    return hosting(observers, clock=SYSTEM_CLOCK)


def replay_processors(
    spec: ConsumerSpec, settings: ConsumerSettings, environ: Mapping[str, str], emit: Emit
) -> ProcessorFactory:
    """What processes the past of this consumer alone. Raises `CannotRead` rather than misread it."""
    from analytics.assembly import customer_keys

    require_reading()
    keys = customer_keys(environ)
    letters = dead_letters(environ, settings, keys)
    if isinstance(spec.part, Step):
        return _performs(spec, settings, environ, emit, letters)
    observing: ProcessorFactory = spec.builder()(settings, environ, emit, keys, letters)
    return observing


def lease_table(spec: ConsumerSpec, settings: ConsumerSettings, environ: Mapping[str, str]) -> "LeaseTable":
    """For looking at, and for the first leases; no worker's."""
    from consumers.engines.worker.leases import LeaseTable

    return LeaseTable(aws.client("dynamodb", environ, _LEASES), settings.application(spec), "")


def _giving_newer_again(
    factory: ProcessorFactory, consumer: str, letters: S3DeadLetters, environ: Mapping[str, str], emit: Emit
) -> ProcessorFactory:
    """With a thread beside the processors, from the first one on."""
    wait = uninterrupted_wait()

    @cache
    def way() -> "Redrive":
        from consumers.redrive import Redrive

        again = redriver(consumer, environ, wait, emit)
        return Redrive(letters, again, clock=SYSTEM_CLOCK, wait=wait, new_id=random_id, emit=emit)

    def redrive(keys: Sequence[str]) -> Collection[str]:
        return way().run(keys).unreadable

    newer = GivesNewerAgain(letters, consumer, KNOWN_EVENTS, redrive, wait=wait, emit=emit)

    @cache
    def start() -> None:
        Thread(target=newer.run, name="newer letters", daemon=True).start()

    def giving(assignment: ShardAssignment) -> RecordProcessor:
        start()
        return factory(assignment)

    return giving


def _performs(
    spec: ConsumerSpec,
    settings: ConsumerSettings,
    environ: Mapping[str, str],
    emit: Emit,
    letters: DeadLetters,
    *,
    compares: bool = True,
) -> ProcessorFactory:
    from consumers.dead_letters import SetsApart
    from consumers.steps import HandlerStep, Stateful, keeps_state, performs
    from producers.assembly import event_publisher

    if not spec.listens_to:
        raise SettingsError(f"{spec.name} performs no step. fix: leave its letters where they are")
    made = spec.builder()(settings, partial(aws.client, environ=environ, config=_CONFIG))
    rules = replace(settings.rules, compares=compares)
    publisher, apart = event_publisher(environ, emit), SetsApart(spec.name, letters, clock=SYSTEM_CLOCK, emit=emit)
    if isinstance(made, Stateful):
        return keeps_state(
            spec.name,
            spec.listens_to,
            made,
            rules,
            states=_states(spec, settings, environ),
            publisher=publisher,
            apart=apart,
            clock=SYSTEM_CLOCK,
            wait=uninterrupted_wait(),
            chance=random.Random(),
            emit=emit,
        )
    return performs(
        HandlerStep(spec.name, spec.listens_to, made),
        rules,
        outcomes=_outcomes(spec, settings, environ),
        publisher=publisher,
        apart=apart,
        clock=SYSTEM_CLOCK,
        emit=emit,
    )


def _states(spec: ConsumerSpec, settings: ConsumerSettings, environ: Mapping[str, str]) -> DynamoDBStates:
    if settings.states_table is None:
        raise SettingsError(
            f"{variable('states_table')} is not set, and {spec.name} keeps a state. fix: `takeaway deploy` again; an "
            "earlier release's stack has no such table"
        )
    return DynamoDBStates(
        aws.client("dynamodb", environ, _CONFIG),
        settings.states_table,
        settings.outcomes_table,
        settings.application(spec),
        keep=settings.keep_outcomes,
        clock=SYSTEM_CLOCK,
        wait=uninterrupted_wait(),
    )


def forget_states(environ: Mapping[str, str], key: str) -> int:
    """Removes what subscribers remember under this key, as a customer's id; answers how many states those were."""
    table = environ.get(variable("states_table"))
    if table is None:
        return 0
    stack = setting("stack", str, environ, default=ConsumerSettings.stack)
    client = aws.client("dynamodb", environ, _CONFIG)
    return sum(forget_state(client, table, f"{stack}-{name}", key) for name in CONSUMERS)


def _outcomes(spec: ConsumerSpec, settings: ConsumerSettings, environ: Mapping[str, str]) -> DynamoDBOutcomes:
    return DynamoDBOutcomes(
        aws.client("dynamodb", environ, _CONFIG),
        settings.outcomes_table,
        settings.application(spec),
        keep=settings.keep_outcomes,
        clock=SYSTEM_CLOCK,
        wait=uninterrupted_wait(),
    )
