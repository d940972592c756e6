"""A notifier as a real Lambda function, from the zip, fed by a real event source mapping: an order becomes a ticket."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from consumers.entrypoints import lambda_zip
from consumers.event_source_mapping import event_source_mapping
from events.wire import decode, encode
from foundation.clock import SYSTEM_CLOCK, uninterrupted_wait
from foundation.kinesis.deaggregation import unpack
from foundation.kinesis.records import Record
from takeaway.local import aws as local_aws
from takeaway.local import backends, processes
from takeaway.stack import deployment
from tests.conftest import BACKEND_NAME, LocalAws
from tests.support.builders import an_envelope, packed

pytestmark = [
    pytest.mark.local_aws,
    pytest.mark.skipif(backends.EMBEDDED.name != BACKEND_NAME, reason="elsewhere a function needs Docker inside"),
]

CONSUMER, TOLD = "restaurant_notifier", "restaurant_notified"
WITHIN_SECONDS = 60


class Deployed:
    """The function on a local AWS of its own, with our stack on it."""

    def __init__(self, aws: LocalAws, zip_file: Path) -> None:
        self.environ = aws.environ
        self.stream, self.queue = aws.environ["TAKEAWAY_STREAM"], aws.environ["TAKEAWAY_TICKET_QUEUE"]
        self.kinesis, self.sqs, self.s3 = aws.client("kinesis"), aws.client("sqs"), aws.client("s3")
        functions = aws.client("lambda")
        settings = {name: value for name, value in aws.environ.items() if name.startswith("TAKEAWAY_")}
        functions.create_function(
            FunctionName=CONSUMER,
            Runtime="python3.11",
            Handler="consumers.lambda_entry.handle",
            Role="arn:aws:iam::000000000000:role/takeaway",
            Code={"ZipFile": zip_file.read_bytes()},
            Timeout=300,
            MemorySize=256,
            Environment={"Variables": {**settings, "TAKEAWAY_CONSUMER": CONSUMER, "AWS_ENDPOINT_URL": aws.endpoint}},
        )
        stream = self.kinesis.describe_stream_summary(StreamName=self.stream)["StreamDescriptionSummary"]
        functions.create_event_source_mapping(
            **event_source_mapping(CONSUMER, source=stream["StreamARN"], function=CONSUMER)
        )

    def put(self, data: bytes) -> None:
        self.kinesis.put_record(StreamName=self.stream, Data=data, PartitionKey="order")

    def tickets(self, wanted: int) -> list[str]:
        """The orders of the tickets, as they came."""
        orders: list[str] = []
        until = SYSTEM_CLOCK.monotonic() + WITHIN_SECONDS
        while len(orders) < wanted and SYSTEM_CLOCK.monotonic() < until:
            received = self.sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10, WaitTimeSeconds=1)
            orders += [json.loads(message["Body"])["order_id"] for message in received.get("Messages", [])]
        return orders

    def told(self, wanted: int) -> list[tuple[str, str]]:
        """What the stream says after the orders."""
        wait = uninterrupted_wait()
        until = SYSTEM_CLOCK.monotonic() + WITHIN_SECONDS
        while len(told := self._read()) < wanted and SYSTEM_CLOCK.monotonic() < until:
            wait(0.5)
        return told

    def _read(self) -> list[tuple[str, str]]:
        records = []
        for shard in self.kinesis.list_shards(StreamName=self.stream)["Shards"]:
            start: Any = {"StreamName": self.stream, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
            iterator = self.kinesis.get_shard_iterator(**start)["ShardIterator"]
            records += self.kinesis.get_records(ShardIterator=iterator)["Records"]
        delivered = [Record(one["SequenceNumber"], one["PartitionKey"], one["Data"], 0.0) for one in records]
        told = [decode(user.data) for one in delivered for user in user_records(one) if TOLD.encode() in user.data]
        return [(envelope.event_type, envelope.order_id) for envelope in told]

    def letters(self) -> list[str]:
        bucket = self.environ["TAKEAWAY_DEAD_LETTER_BUCKET"]
        return [entry["Key"] for entry in self.s3.list_objects_v2(Bucket=bucket).get("Contents", [])]


@pytest.fixture
def deployed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployed]:
    """With Lambda, which the local AWS is not started with otherwise: what has its key could run code here."""
    usual = backends._environ
    monkeypatch.setattr(
        backends, "_environ", lambda *given: {**usual(*given), "SERVICES": f"{usual(*given)['SERVICES']},lambda"}
    )
    running, reached = backends.EMBEDDED.start(local_aws.free_port(), tmp_path, following=True)
    try:
        environ = {**os.environ, **reached}
        aws = LocalAws(reached["AWS_ENDPOINT_URL"], {**environ, **deployment.deploy(environ)})
        lambda_zip.write(tmp_path / "function.zip")
        yield Deployed(aws, tmp_path / "function.zip")
    finally:
        processes.stop_processes([running], grace=15)


def user_records(record: Record) -> list[Record]:
    aggregate = unpack(record)
    return aggregate.records if aggregate else [record]


def placed(order: str) -> bytes:
    return encode(an_envelope(order_id=order, cause=f"key-of-{order}"))


def test_an_order_becomes_a_ticket_and_what_follows_is_told(deployed: Deployed) -> None:
    deployed.put(placed("order-1"))
    deployed.put(b"no event at all")
    deployed.put(packed([placed("order-2"), placed("order-3")], "order"))
    assert sorted(deployed.tickets(3)) == ["order-1", "order-2", "order-3"]
    assert sorted(deployed.told(3)) == [(TOLD, f"order-{number}") for number in (1, 2, 3)]
    assert len(deployed.letters()) == 1
