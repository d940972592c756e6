"""Put together from given variables, everything speaks to the endpoint that they name, not to that of the process."""

import os
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import pytest

from analytics.assembly import customer_keys
from analytics.lake import Lake, NoLake
from consumers.assembly import dead_letters, kinesis_function, processors, redriver, worker
from consumers.dead_letters.letters import DeadLetters
from consumers.dead_letters.set_apart import Bad, SetsApart
from consumers.processing import ProcessorFactory, Progress, ShardAssignment
from consumers.settings import ConsumerSettings
from consumers.specs import CONSUMERS, ConsumerSpec, readers
from events import self_test
from events.self_test import CannotRead
from events.wire import encode
from foundation.clock import SYSTEM_CLOCK
from foundation.diagnostics import Emit
from foundation.kinesis.records import Batch, Position
from foundation.settings import from_environment
from producers.assembly import event_publisher
from takeaway.audit.evidence import step_checkpoints
from takeaway.stack import deployment
from tests.conftest import LocalAws
from tests.support.builders import an_envelope, an_order_placed
from tests.support.dynamodb import table_names

NOWHERE = {
    "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
    "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1",
    "AWS_REGION": "eu-north-1",
    "AWS_DEFAULT_REGION": "eu-north-1",
    "AWS_ACCESS_KEY_ID": "somebody",
    "AWS_SECRET_ACCESS_KEY": "else",
}
NAME = "Zaphod Beeblebrox"


@contextmanager
def at_work(consumer: str, environ: dict[str, str]) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=worker(consumer, environ, lambda _: None).run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(30)


def until(found: Callable[[], Any]) -> Any:
    pause = threading.Event()
    for _ in range(300):
        if answer := found():
            return answer
        pause.wait(0.1)
    raise AssertionError("it never came")


def tokens(environ: dict[str, str]) -> list[str]:
    try:
        return [row["customer_name_token"] or "" for row in Lake.from_environment(environ).events().to_pylist()]
    except NoLake:
        return []


@pytest.mark.local_aws
@pytest.mark.parametrize("process", [{}, NOWHERE], ids=["the process names none", "the process names another"])
def test_publisher_workers_sink_keys_and_letters_speak_to_the_endpoint_given(
    local_aws: LocalAws, process: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    environ = {name: value for name, value in local_aws.environ.items() if not name.startswith("TAKEAWAY_")}
    environ |= {"TAKEAWAY_STACK": f"given-{uuid.uuid4().hex[:8]}", "TAKEAWAY_LAKE_FILE_AGE": "1"}
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name, value in process.items():
        monkeypatch.setenv(name, value)
    environ |= deployment.deploy(environ, shards=1)

    with event_publisher(environ, lambda _: None) as publisher:
        publisher.publish(an_envelope(an_order_placed(customer_name=NAME))).result(30)
    local_aws.client("kinesis").put_record(StreamName=environ["TAKEAWAY_STREAM"], Data=b"torn", PartitionKey="order")
    letters = dead_letters(environ, from_environment(ConsumerSettings, environ), customer_keys(environ))
    sqs, queue = local_aws.client("sqs"), environ["TAKEAWAY_TICKET_QUEUE"]
    with at_work("archiver", environ), at_work("restaurant_notifier", environ):
        until(lambda: sqs.receive_message(QueueUrl=queue).get("Messages"))
        # What the notifier told is archived as well.
        until(lambda: len(tokens(environ)) == 2)
        until(lambda: letters.keys("archiver/"))
    assert (
        NAME in customer_keys(environ).objects.texts([token for token in tokens(environ) if token != "None"]).values()
    )


@pytest.mark.slow
@pytest.mark.parametrize("consumer", readers())
def test_no_consumer_starts_where_the_golden_bytes_cannot_be_read(
    monkeypatch: pytest.MonkeyPatch, consumer: str
) -> None:
    monkeypatch.setattr(self_test, "golden_bytes", dict)
    given = {f"TAKEAWAY_{name}": name.lower() for name in ("STREAM", "OUTCOMES_TABLE", "DEAD_LETTER_BUCKET", "SENDER")}
    environ = NOWHERE | given | {"TAKEAWAY_TICKET_TOPIC": "arn", "TAKEAWAY_CUSTOMER_KEY_BUCKET": "keys"}
    spec, settings = CONSUMERS[consumer], from_environment(ConsumerSettings, environ)
    for start in (
        lambda: worker(consumer, environ, lambda _: None),
        lambda: kinesis_function(consumer, environ, lambda _: None),
        lambda: processors(spec, settings, environ, lambda _: None),
        lambda: redriver(consumer, environ, lambda _: False, lambda _: None),
    ):
        with pytest.raises(CannotRead, match="fix: deploy a release"):
            start()


class Looker:
    """An observer that is hosted: it notes what it is given, and sets apart what is no event."""

    given: ClassVar[list[bytes]] = []
    reached: ClassVar[Position]

    def __init__(self, assignment: ShardAssignment, apart: SetsApart) -> None:
        self._assignment = assignment
        self._apart = apart
        self.resume_after = assignment.checkpoint

    def process(self, batch: Batch) -> Progress:
        torn = [Bad(record, ValueError("torn")) for record in batch.records if record.data == b"torn"]
        self._apart.set_apart(self._assignment, torn)
        self.given.extend(record.data for record in batch.records)
        self.resume_after = batch.records[-1].sequence_number if batch.records else self.resume_after
        Looker.reached = self.resume_after
        return Progress(self.resume_after)

    def flush(self) -> Progress:
        return Progress(self.resume_after)


def lookers(_: object, __: object, emit: Emit, ___: object, letters: DeadLetters) -> ProcessorFactory:
    return lambda assignment: Looker(assignment, SetsApart("looker", letters, clock=SYSTEM_CLOCK, emit=emit))


@pytest.mark.local_aws
def test_a_hosted_observer_is_fed_by_its_hosts_reads_and_has_letters_of_its_own(
    local_aws: LocalAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosted = ConsumerSpec(part="looker", build="tests.consumers.test_assembly:lookers", hosted_by="archiver")
    monkeypatch.setitem(CONSUMERS, "looker", hosted)
    stack = f"hosted-{uuid.uuid4().hex[:8]}"
    environ = {**local_aws.environ, "TAKEAWAY_STACK": stack, "TAKEAWAY_LAKE_FILE_AGE": "1"}
    environ |= deployment.deploy(environ, shards=1)
    event = encode(an_envelope(an_order_placed(customer_name=NAME)))
    for data in (event, b"torn"):
        local_aws.client("kinesis").put_record(StreamName=environ["TAKEAWAY_STREAM"], Data=data, PartitionKey="order")
    letters = dead_letters(environ, from_environment(ConsumerSettings, environ), customer_keys(environ))
    with at_work("archiver", environ):
        until(lambda: len(tokens(environ)) == 1)
        until(lambda: letters.keys("archiver/") and letters.keys("looker/"))
    assert Looker.given == [event, b"torn"]
    # The audit finds how far it is in its host's leases.
    assert [*step_checkpoints(environ)["looker"].values()] == [Looker.reached]
    tables = table_names(local_aws.client("dynamodb"))
    assert [name for name in tables if name in {f"{stack}-archiver", f"{stack}-looker"}] == [f"{stack}-archiver"]
