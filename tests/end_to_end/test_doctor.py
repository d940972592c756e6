"""Twelve troubles on a running stack: `takeaway doctor` names each within its time, and is content when it is over.

`make doctor-troubles` prints the table: how long it took, and the words.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from consumers.specs import readers
from events.orders import OrderAccepted
from events.wire import encode
from foundation.aws import client
from foundation.clock import SYSTEM_CLOCK
from takeaway.local import aws as local_aws
from takeaway.local import processes
from takeaway.local.processes import Running
from tests.conftest import the_backend
from tests.end_to_end.test_full_disk import LIMITED
from tests.support import ROOT
from tests.support.builders import NOON, an_envelope
from tests.support.flow import Flow, pause, until
from tests.support.proxy import Answer, Request, proxy
from tests.support.tables import Tables

pytestmark = [pytest.mark.end_to_end, pytest.mark.chaos, pytest.mark.timeout(1800)]

STOPPING = """
from consumers.archiver import Archiver
from consumers.processing import ShardStop
from takeaway.cli import main

process = Archiver.process

def stops(self, batch):
    if batch.records:
        raise ShardStop("this release cannot read them")
    return process(self, batch)

Archiver.process = stops
main()
"""
REFUSED = Answer(
    400,
    (("Content-Type", "application/x-amz-json-1.0"),),
    b'{"__type": "com.amazon.coral.service#AccessDeniedException", "message": "not allowed to write"}',
)
UNAVAILABLE = Answer(
    503,
    (("Content-Type", "text/xml"),),
    b"<ErrorResponse><Error><Type>Receiver</Type><Code>ServiceUnavailable</Code><Message>away</Message></Error>"
    b"<RequestId>1</RequestId></ErrorResponse>",
)


@dataclass
class Gateway:
    """What stands between the consumers and AWS."""

    mail_fails: bool = False
    mail_seconds: float = 0.0
    leases_refused: bool = False

    def behave(self, request: Request, forward: Callable[[], Answer]) -> Answer | None:
        if b"Action=SendEmail" in request.body:
            if self.mail_fails:
                return UNAVAILABLE
            pause(self.mail_seconds)
        if self.leases_refused and b"leaseKey" in request.body:
            return REFUSED
        return forward()


@dataclass
class Patient:
    """A stack as `takeaway up` would have started it, its consumers behind a gateway of their own."""

    flow: Flow
    aws: Running
    through: str
    gateway: Gateway
    told: dict[str, Any] = field(default_factory=dict)

    def start(self, consumer: str, **options: Any) -> None:
        self.flow.start_consumer(consumer, **{"AWS_ENDPOINT_URL": self.through, **options})
        self.save()

    def save(self) -> None:
        running = [self.aws, *self.flow.running.values()]
        processes.save_services(self.flow.home / "services.json", running)

    def doctor(self, *, module: Sequence[str] = ("takeaway.cli",), **variables: str) -> "dict[str, Any]":
        environ = {
            name: value for name, value in processes.without_secrets().items() if not name.startswith("TAKEAWAY_")
        }
        environ |= {"TAKEAWAY_HOME": str(self.flow.home), **variables}
        done = subprocess.run(  # noqa: S603 - our own arguments
            [sys.executable, "-m", *module, "doctor", "--json"],
            env=environ,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert done.returncode in {0, 1}, done.stdout + done.stderr
        told: dict[str, Any] = json.loads(done.stdout)
        assert (done.returncode == 1) is bool(told["problems"])
        return told

    def names(self, words: str, **options: Any) -> str | None:
        whats = [problem["what"] for problem in self.doctor(**options)["problems"]]
        return next((what for what in whats if words in what), None)

    def is_well(self) -> bool:
        self.told = self.doctor()
        return not self.told["problems"]

    def put(self, data: bytes, key: str) -> None:
        client("kinesis", self.flow.environ).put_record(
            StreamName=self.flow.environ["TAKEAWAY_STREAM"], PartitionKey=key, Data=data
        )

    def accept(self, *orders: str) -> None:
        """Mail for the user notifier to send, and rows for the archiver."""
        for order in orders:
            self.put(encode(an_envelope(an_acceptance(order), order_id=order)), order)


def an_acceptance(order: str) -> OrderAccepted:
    return OrderAccepted(
        restaurant_id="restaurant-1",
        customer_id=f"customer-{order}",
        customer_name="Ada",
        customer_email=f"{order}@example.com",
        ready_at=NOON,
    )


@pytest.fixture
def patient(tmp_path: Path) -> Iterator[Patient]:
    aws, reached = the_backend().start(local_aws.free_port(), tmp_path / "logs", following=True)
    flow, gateway = Flow.deployed(tmp_path, reached), Gateway()
    local_aws.save_environ(tmp_path, reached)
    (tmp_path / "token.key").write_text("k" * 64)
    with proxy(reached["AWS_ENDPOINT_URL"], gateway.behave) as through:
        patient = Patient(flow, aws, through, gateway)
        flow.start_api()
        (tmp_path / "api_port").write_text(str(flow.api_port))
        for consumer in readers():
            patient.start(consumer)
        yield patient
        flow.stop_all()
    processes.stop_processes([aws], grace=5)


@contextmanager
def frozen(patient: Patient) -> Iterator[None]:
    pid = patient.flow.running["archiver"].pid
    os.kill(pid, signal.SIGSTOP)
    yield
    os.kill(pid, signal.SIGCONT)


@contextmanager
def killed(patient: Patient) -> Iterator[None]:
    patient.flow.kill("archiver")
    yield
    patient.start("archiver")


@contextmanager
def stopped(patient: Patient) -> Iterator[None]:
    patient.flow.stop("archiver")
    (patient.flow.home / "stopping_takeaway.py").write_text(STOPPING)
    patient.start("archiver", module="stopping_takeaway", PYTHONPATH=_beside(patient.flow.home))
    patient.accept("stopped")
    yield
    patient.flow.stop("archiver")
    patient.start("archiver")


@contextmanager
def failing(patient: Patient) -> Iterator[None]:
    patient.gateway.mail_fails = True
    patient.accept("failing")
    yield
    patient.gateway.mail_fails = False


@contextmanager
def poisoned(patient: Patient) -> Iterator[None]:
    patient.put(b"no event", "poison")
    yield
    s3, bucket = client("s3", patient.flow.environ), patient.flow.environ["TAKEAWAY_DEAD_LETTER_BUCKET"]
    for letter in s3.list_objects_v2(Bucket=bucket)["Contents"]:
        s3.delete_object(Bucket=bucket, Key=letter["Key"])


@contextmanager
def slow(patient: Patient) -> Iterator[None]:
    patient.flow.stop("user_notifier")
    patient.gateway.mail_seconds = 1.0
    patient.start("user_notifier", TAKEAWAY_PARALLELIZATION_FACTOR="1", TAKEAWAY_BATCH_SIZE="2")
    patient.accept(*(f"slow-{number}" for number in range(300)))
    yield
    patient.flow.stop("user_notifier")
    patient.gateway.mail_seconds = 0.0
    patient.start("user_notifier")


@contextmanager
def leases_refused(patient: Patient) -> Iterator[None]:
    patient.gateway.leases_refused = True
    yield
    patient.gateway.leases_refused = False


@contextmanager
def stream_made_anew(patient: Patient) -> Iterator[None]:
    kinesis, stream = client("kinesis", patient.flow.environ), patient.flow.environ["TAKEAWAY_STREAM"]
    pause(2.5)  # the last checkpoint is surely older
    kinesis.delete_stream(StreamName=stream)
    kinesis.get_waiter("stream_not_exists").wait(StreamName=stream, WaiterConfig={"Delay": 1})
    kinesis.create_stream(StreamName=stream, ShardCount=2)
    yield


@contextmanager
def back_end_away(patient: Patient) -> Iterator[None]:
    # LocalStack is a family of processes, and any of them would go on answering.
    for process in processes._related({processes._mark(patient.aws.log)}):
        process.kill()
    yield


@contextmanager
def nothing(_: Patient) -> Iterator[None]:
    yield


@dataclass(frozen=True)
class Trouble:
    name: str
    begins: "Callable[[Patient], Any]"
    words: str
    options: dict[str, Any] = field(default_factory=dict)


TROUBLES = (
    Trouble("a frozen process", frozen, "archiver is frozen"),
    Trouble("a killed process", killed, "archiver has ended"),
    Trouble("a stopped shard", stopped, ": this release cannot read them"),
    Trouble("a failing shard", failing, "it fails again and again: Unavailable: SES"),
    Trouble("poison", poisoned, "could not process 1 record"),
    Trouble(
        "a full disk", nothing, "cannot be written: File too large", options={"module": (LIMITED, "0", "takeaway.cli")}
    ),
    Trouble("a wrong key", nothing, "refuses tokens", options={"TAKEAWAY_TOKEN_KEY": "w" * 64}),
    Trouble("a misspelt variable", nothing, "TAKEAWAY_BATCHSIZE is set", options={"TAKEAWAY_BATCHSIZE": "7"}),
    Trouble("lag", slow, "user_notifier is late on"),
    Trouble("leases refused", leases_refused, "archiver cannot look after its leases"),
    Trouble("a stream made anew", stream_made_anew, "the stream was made anew"),
    Trouble("the back end away", back_end_away, "does not answer"),
)
# After these nothing is as it was.
FOR_GOOD = ("a stream made anew", "the back end away")


def test_each_of_twelve_troubles_is_named_and_over_when_it_is_over(patient: Patient, tables: Tables) -> None:
    patient.accept(*(f"before-{number}" for number in range(10)))
    until(patient.is_well, within=240, every=1)
    for trouble in TROUBLES:
        with ExitStack() as cure:
            cure.enter_context(trouble.begins(patient))
            began = SYSTEM_CLOCK.monotonic()
            named = until(partial(patient.names, trouble.words, **trouble.options), within=200, every=0.2)
            seconds = SYSTEM_CLOCK.monotonic() - began
        if trouble.name not in FOR_GOOD:
            until(patient.is_well, within=240, every=1)
        tables.add("what the doctor says", trouble=trouble.name, seconds=f"{seconds:.0f}", words=named)


def _beside(home: Path) -> str:
    return os.pathsep.join(filter(None, (str(home), os.environ.get("PYTHONPATH"), str(ROOT))))
