"""Introduces processors, engines and AWS to each other. Each builder imports what it builds, and nothing else."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from consumers.bad_runs import BadRuns
from consumers.dead_letters import S3DeadLetters
from consumers.idempotency import DynamoDBOutcomes
from consumers.processing import ProcessorFactory, RecordProcessor, ShardAssignment
from consumers.settings import ConsumerSettings
from events.orders import OrderAccepted, OrderPlaced
from foundation.clock import SYSTEM_CLOCK, uninterrupted_wait
from foundation.diagnostics import Emit
from foundation.settings import from_environment

if TYPE_CHECKING:
    from consumers.engines.worker import Worker
    from consumers.step_processor import HandlerStep

# Kinesis may take long on a busy local AWS; more connections than shards of one process are never used at once.
_CONFIG = Config(retries={"mode": "standard", "max_attempts": 4}, read_timeout=60, max_pool_connections=32)

# Well within the failover time: one call that hangs must not cost a lease.
_LEASES = Config(retries={"mode": "standard", "total_max_attempts": 2}, connect_timeout=2, read_timeout=3)


def worker(consumer: str, environ: Mapping[str, str], emit: Emit) -> "Worker":
    """The consumer, fed by our own engine. Raises `SettingsError` for what `environ` lacks."""
    from consumers.engines.worker import Worker, WorkerSettings

    settings = from_environment(ConsumerSettings, environ)
    return Worker(
        WorkerSettings(
            application=settings.application(consumer),
            stream=settings.stream,
            failover_seconds=settings.failover_seconds,
            reads_per_second=settings.reads(consumer),
        ),
        kinesis=boto3.client("kinesis", config=_CONFIG),
        dynamodb=boto3.client("dynamodb", config=_LEASES),
        factory=CONSUMERS[consumer](settings, environ, emit),
        clock=SYSTEM_CLOCK,
        emit=emit,
    )


def restaurant_notifier(settings: ConsumerSettings, environ: Mapping[str, str], emit: Emit) -> ProcessorFactory:
    from consumers.restaurant_notifier import TicketTopic, notify_restaurant
    from consumers.step_processor import HandlerStep

    tickets = TicketTopic(boto3.client("sns", config=_CONFIG), settings.ticket_topic)
    step = HandlerStep("restaurant_notifier", OrderPlaced, lambda placed: notify_restaurant(placed, tickets))
    return _performs(step, settings, environ, emit)


def user_notifier(settings: ConsumerSettings, environ: Mapping[str, str], emit: Emit) -> ProcessorFactory:
    from consumers.step_processor import HandlerStep
    from consumers.user_notifier import Mail, notify_user

    mail = Mail(boto3.client("ses", config=_CONFIG), settings.sender)
    step = HandlerStep("user_notifier", OrderAccepted, lambda accepted: notify_user(accepted, mail))
    return _performs(step, settings, environ, emit)


def archiver(settings: ConsumerSettings, environ: Mapping[str, str], emit: Emit) -> ProcessorFactory:
    from analytics.wiring import lake_sink
    from consumers.archiver import Archiver

    sink = lake_sink(environ, settings.stream, emit)
    bad_runs = BadRuns("archiver")
    dead_letters = S3DeadLetters(boto3.client("s3", config=_CONFIG), settings.dead_letter_bucket)

    def factory(assignment: ShardAssignment) -> RecordProcessor:
        return Archiver(
            assignment, sink=sink, dead_letters=dead_letters, bad_runs=bad_runs, clock=SYSTEM_CLOCK, emit=emit
        )

    return factory


CONSUMERS: dict[str, Callable[[ConsumerSettings, Mapping[str, str], Emit], ProcessorFactory]] = {
    "restaurant_notifier": restaurant_notifier,
    "user_notifier": user_notifier,
    "archiver": archiver,
}


def _performs(
    step: "HandlerStep[Any]", settings: ConsumerSettings, environ: Mapping[str, str], emit: Emit
) -> ProcessorFactory:
    from consumers.step_processor import StepProcessor
    from producers.wiring import event_publisher

    outcomes = DynamoDBOutcomes(
        boto3.client("dynamodb", config=_CONFIG),
        settings.outcomes_table,
        settings.application(step.actor),
        keep=settings.keep_outcomes,
        clock=SYSTEM_CLOCK,
        wait=uninterrupted_wait(),
    )
    dead_letters = S3DeadLetters(boto3.client("s3", config=_CONFIG), settings.dead_letter_bucket)
    publisher = event_publisher(environ, emit)
    bad_runs = BadRuns(step.actor)

    def factory(assignment: ShardAssignment) -> RecordProcessor:
        return StepProcessor(
            step,
            assignment,
            outcomes=outcomes,
            publisher=publisher,
            dead_letters=dead_letters,
            bad_runs=bad_runs,
            clock=SYSTEM_CLOCK,
            emit=emit,
        )

    return factory
