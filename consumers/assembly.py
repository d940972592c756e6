"""Introduces processors, engines and AWS to each other. Each builder imports what it builds, and nothing else."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from botocore.config import Config

from consumers.dead_letters.bad_runs import BadRuns
from consumers.dead_letters.letters import DeadLetters, S3DeadLetters
from consumers.processing import ProcessorFactory, RecordProcessor, ShardAssignment
from consumers.settings import ConsumerSettings
from consumers.steps.outcomes import DynamoDBOutcomes
from events.orders import OrderAccepted, OrderPlaced
from foundation import aws
from foundation.clock import SYSTEM_CLOCK, Wait, uninterrupted_wait
from foundation.diagnostics import Emit
from foundation.settings import from_environment

if TYPE_CHECKING:
    from analytics.privacy.customer_keys import CustomerKeys
    from consumers.engines.aws_lambda.function import KinesisFunction
    from consumers.engines.kcl.daemon import DaemonSettings
    from consumers.engines.worker import Worker
    from consumers.redrive.redrive import GivesAgain
    from consumers.steps.step import HandlerStep
    from foundation.kinesis.hash_keys import HashKeyRange

# Kinesis may take long on a busy local AWS. A connection for each key that is handled at once, on sixteen shards.
_CONFIG = Config(retries={"mode": "standard", "max_attempts": 4}, read_timeout=60, max_pool_connections=128)

# Well within the failover time: one call that hangs must not cost a lease.
_LEASES = Config(retries={"mode": "standard", "total_max_attempts": 2}, connect_timeout=2, read_timeout=3)


def worker(consumer: str, environ: Mapping[str, str], emit: Emit) -> "Worker":
    """The consumer, fed by our own engine. Raises `SettingsError` for what `environ` lacks."""
    from consumers.engines.worker import Worker, WorkerSettings

    settings = from_environment(ConsumerSettings, environ)
    start, start_at = settings.first_position_of(consumer)
    return Worker(
        WorkerSettings(
            application=settings.application(consumer),
            stream=settings.stream,
            start=start,
            start_at=start_at,
            failover_seconds=settings.failover_seconds,
            fleet=settings.fleet,
            retrieval=settings.retrieval,
            reads_per_second=settings.reads(consumer),
            read_bytes_per_second=settings.read_bytes_per_second,
            batch_records=settings.batch_records(consumer),
        ),
        kinesis=aws.client("kinesis", environ, _CONFIG),
        dynamodb=aws.client("dynamodb", environ, _LEASES),
        factory=CONSUMERS[consumer](settings, environ, emit),
        clock=SYSTEM_CLOCK,
        emit=emit,
    )


def kinesis_function(consumer: str, environ: Mapping[str, str], emit: Emit) -> "KinesisFunction":
    """The consumer, fed by a Lambda event source mapping. Raises `SettingsError` for what `environ` lacks."""
    from consumers.engines.aws_lambda.function import KinesisFunction

    settings = from_environment(ConsumerSettings, environ)

    def hash_keys_of(stream: str, shard_id: str) -> "HashKeyRange | None":
        from foundation.kinesis.shards import listed_shards

        shards = listed_shards(aws.client("kinesis", environ, _CONFIG), stream)
        return next((shard.hash_keys for shard in shards if shard.shard_id == shard_id), None)

    return KinesisFunction(
        CONSUMERS[consumer](settings, environ, emit),
        hash_keys_of=hash_keys_of,
        batch_records=settings.batch_records(consumer),
        wait=uninterrupted_wait(),
        emit=emit,
    )


def kcl_daemon(consumer: str, environ: Mapping[str, str]) -> "DaemonSettings":
    """The consumer, fed by the KCL. Raises `SettingsError` for what `environ` lacks."""
    from consumers.engines.kcl.daemon import DaemonSettings, endpoints

    settings = from_environment(ConsumerSettings, environ)
    start, start_at = settings.first_position_of(consumer)
    return DaemonSettings(
        application=settings.application(consumer),
        stream=settings.stream,
        child=("consumers.entrypoints.kcl", consumer),
        region=aws.region(environ),
        endpoints=endpoints(environ),
        failover_seconds=settings.failover_seconds,
        reads_per_second=settings.reads(consumer),
        start=start,
        start_at=start_at,
        retrieval=settings.retrieval,
    )


def dead_letters(environ: Mapping[str, str], settings: ConsumerSettings, keys: "CustomerKeys") -> S3DeadLetters:
    return S3DeadLetters(aws.client("s3", environ, _CONFIG), settings.dead_letter_bucket, keys)


def redriver(consumer: str, environ: Mapping[str, str], wait: Wait, emit: Emit) -> "GivesAgain":
    """The way back into one of `CONSUMERS` for its dead letters. Raises `SettingsError` for what `environ` lacks."""
    settings = from_environment(ConsumerSettings, environ)
    if consumer not in STEPS:
        from analytics.assembly import customer_keys, late_rows
        from consumers.redrive.lake import IntoLake

        return IntoLake(late_rows(environ, emit, customer_keys(environ)), SYSTEM_CLOCK)
    from consumers.redrive.steps import SetAsideAgain, ThroughProcessor

    # A redrive is one attempt, it gathers nothing, and to have grown old is no reason against it.
    settings = replace(settings, max_attempts=1, batching_window_seconds=0, max_record_age_seconds=None)
    again = SetAsideAgain()
    factory = _performs(STEPS[consumer](settings, environ), settings, environ, emit, again)
    return ThroughProcessor(factory, again, _outcomes(settings, environ, consumer), wait=wait, emit=emit)


def restaurant_notifier(settings: ConsumerSettings, environ: Mapping[str, str]) -> "HandlerStep[OrderPlaced]":
    from consumers.notifiers.restaurant import TicketTopic, notify_restaurant
    from consumers.steps.step import HandlerStep

    tickets = TicketTopic(aws.client("sns", environ, _CONFIG), settings.ticket_topic)
    return HandlerStep("restaurant_notifier", OrderPlaced, lambda placed: notify_restaurant(placed, tickets))


def user_notifier(settings: ConsumerSettings, environ: Mapping[str, str]) -> "HandlerStep[OrderAccepted]":
    from consumers.notifiers.user import Mail, notify_user
    from consumers.steps.step import HandlerStep

    mail = Mail(aws.client("ses", environ, _CONFIG), settings.sender)
    return HandlerStep("user_notifier", OrderAccepted, lambda accepted: notify_user(accepted, mail))


def performer(
    step: "Callable[[ConsumerSettings, Mapping[str, str]], HandlerStep[Any]]",
) -> Callable[[ConsumerSettings, Mapping[str, str], Emit], ProcessorFactory]:
    """The consumer that performs this step."""

    def build(settings: ConsumerSettings, environ: Mapping[str, str], emit: Emit) -> ProcessorFactory:
        from analytics.assembly import customer_keys

        letters = dead_letters(environ, settings, customer_keys(environ))
        return _performs(step(settings, environ), settings, environ, emit, letters)

    return build


def archiver(settings: ConsumerSettings, environ: Mapping[str, str], emit: Emit) -> ProcessorFactory:
    from analytics.assembly import customer_keys, lake_sink
    from consumers.archiver import Archiver

    keys = customer_keys(environ)
    sink = lake_sink(environ, settings.stream, emit, keys)
    bad_runs = BadRuns("archiver")
    letters = dead_letters(environ, settings, keys)

    def factory(assignment: ShardAssignment) -> RecordProcessor:
        return Archiver(
            assignment,
            sink=sink,
            keys=keys,
            dead_letters=letters,
            bad_runs=bad_runs,
            clock=SYSTEM_CLOCK,
            emit=emit,
        )

    return factory


STEPS: "dict[str, Callable[[ConsumerSettings, Mapping[str, str]], HandlerStep[Any]]]" = {
    "restaurant_notifier": restaurant_notifier,
    "user_notifier": user_notifier,
}
CONSUMERS: dict[str, Callable[[ConsumerSettings, Mapping[str, str], Emit], ProcessorFactory]] = {
    **{actor: performer(step) for actor, step in STEPS.items()},
    "archiver": archiver,
}


def _performs(
    step: "HandlerStep[Any]",
    settings: ConsumerSettings,
    environ: Mapping[str, str],
    emit: Emit,
    letters: DeadLetters,
) -> ProcessorFactory:
    from consumers.dead_letters.set_apart import SetsApart
    from consumers.steps.step import performs
    from producers.assembly import event_publisher

    return performs(
        step,
        settings.rules,
        outcomes=_outcomes(settings, environ, step.actor),
        publisher=event_publisher(environ, emit),
        apart=SetsApart(step.actor, letters, clock=SYSTEM_CLOCK, emit=emit),
        clock=SYSTEM_CLOCK,
        emit=emit,
    )


def _outcomes(settings: ConsumerSettings, environ: Mapping[str, str], actor: str) -> DynamoDBOutcomes:
    return DynamoDBOutcomes(
        aws.client("dynamodb", environ, _CONFIG),
        settings.outcomes_table,
        settings.application(actor),
        keep=settings.keep_outcomes,
        clock=SYSTEM_CLOCK,
        wait=uninterrupted_wait(),
    )
