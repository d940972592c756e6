"""PutRecords through a real botocore client, of which only the network is missing."""

import hashlib
import json
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config
from botocore.exceptions import ClientError, ParamValidationError

from producers.assembly import KINESIS
from producers.publishing import put_records
from producers.publishing.lanes import Lanes, Limits
from producers.publishing.publication import Publication
from producers.publishing.quota import KINESIS_QUOTA
from producers.settings import PublisherSettings
from tests.support.fakes.clock import FakeClock
from tests.support.fakes.kinesis import FakeKinesis
from tests.support.shards import a_map, key_in

RESULT = {"SequenceNumber": "49", "ShardId": "shardId-000000000000"}


class Network:
    """Answers what a test gives it, in turn, and keeps what was asked."""

    def __init__(self, *answers: tuple[int, dict[str, Any]]) -> None:
        self.requests: list[AWSPreparedRequest] = []
        self._answers = iter(answers)
        self.client = boto3.client(
            "kinesis",
            region_name="eu-west-1",
            aws_access_key_id="id",
            aws_secret_access_key="secret",
            aws_session_token="token",
            config=Config(retries={"mode": "standard", "total_max_attempts": 2}),
        )
        send: Any = self._send
        self.client.meta.events.register("before-send.kinesis", send)

    def _send(self, request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        self.requests.append(request)
        status, answer = next(self._answers)
        raw: Any = Raw(json.dumps(answer).encode())
        headers: Any = {"Content-Type": "application/x-amz-json-1.1"}
        return AWSResponse(request.url, status, headers, raw)

    @property
    def bodies(self) -> list[bytes]:
        return [bytes(request.body) for request in self.requests if isinstance(request.body, bytes)]


class Raw:
    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, **_: Any) -> Any:
        yield self._body


def parcels(*records: Publication) -> Any:
    lanes = Lanes(a_map(2), KINESIS_QUOTA)
    lanes.add(records)
    return lanes.due(0, Limits())


A, B = key_in(0, 2), key_in(1, 2)


@pytest.mark.slow
def test_the_body_is_ours_and_all_around_it_botocores() -> None:
    network = Network((200, {"FailedRecordCount": 0, "Records": [RESULT, RESULT]}))
    sent = parcels(Publication(A, b"one"), Publication(A, b"two"), Publication(B, b'"plain"'))
    assert put_records.put_records(put_records.writing(network.client), 'or"ders', sent) == [RESULT, RESULT]
    [request] = network.requests
    [body] = network.bodies
    asked = json.loads(body)
    assert asked["StreamName"] == 'or"ders'
    assert [entry["PartitionKey"] for entry in asked["Records"]] == ["a", B]
    assert [entry.get("ExplicitHashKey") for entry in asked["Records"]] == [str(2**127 - 1), None]
    assert asked["Records"][1]["Data"] == "InBsYWluIg=="
    headers = {name.lower(): _text(value) for name, value in request.headers.items()}
    assert headers["x-amz-target"] == "Kinesis_20131202.PutRecords"
    assert headers["x-amz-security-token"] == "token"
    assert headers["content-length"] == str(len(body))
    assert "Credential=id/" in headers["authorization"]


@pytest.mark.slow
def test_the_signature_is_of_the_body_that_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[bytes] = []
    sha256 = hashlib.sha256

    def watched(data: bytes = b"", **options: Any) -> Any:
        hashed.append(bytes(data))
        return sha256(data, **options)

    network = Network((200, {"FailedRecordCount": 0, "Records": [RESULT]}))
    monkeypatch.setattr("botocore.auth.sha256", watched)
    put_records.put_records(put_records.writing(network.client), "orders", parcels(Publication(A, b"one")))
    assert network.bodies[0] in hashed


def test_a_retry_of_botocores_sends_the_same_body() -> None:
    failure = {"__type": "InternalFailure", "message": "of the moment"}
    network = Network((500, failure), (200, {"FailedRecordCount": 0, "Records": [RESULT]}))
    put_records.put_records(put_records.writing(network.client), "orders", parcels(Publication(A, b"one")))
    first, second = network.bodies
    assert first == second


def test_an_error_is_botocores_own() -> None:
    network = Network((400, {"__type": "ResourceNotFoundException", "message": "no such stream"}))
    client = put_records.writing(network.client)
    with pytest.raises(client.exceptions.ResourceNotFoundException, match="no such stream"):
        put_records.put_records(client, "orders", parcels(Publication(A, b"one")))


def test_for_others_the_client_stays_what_it_was() -> None:
    network = Network((200, {"FailedRecordCount": 0, "Records": [RESULT]}))
    client = put_records.writing(put_records.writing(network.client))
    client.put_records(StreamName="orders", Records=[{"Data": b"x", "PartitionKey": "k"}])
    asked = json.loads(network.bodies[0])
    assert asked == {"StreamName": "orders", "Records": [{"Data": "eA==", "PartitionKey": "k"}]}
    with pytest.raises(ParamValidationError):
        client.put_records(StreamName="orders", Records=[])


def test_what_stands_for_the_records_is_nothing_that_kinesis_takes() -> None:
    """As by a client whose events somebody took away: nothing may be acknowledged that was not sent."""
    kinesis = FakeKinesis(FakeClock().clock)
    network = Network((200, {}))
    put_records.put_records(network.client, "orders", parcels(Publication(A, b"one")))
    asked = json.loads(network.bodies[0])
    with pytest.raises(ClientError, match="no hash key"):
        kinesis.put_records(**asked)


def test_results_that_are_missing_tell_nothing() -> None:
    network = Network((200, {"FailedRecordCount": 0, "Records": [RESULT]}), (200, {}))
    client = put_records.writing(network.client)
    two = parcels(Publication(A, b"one"), Publication(B, b"two"))
    assert put_records.put_records(client, "orders", two) == [RESULT, None]
    assert put_records.put_records(client, "orders", two) == [None, None]


def test_a_request_that_hangs_leaves_time_to_send_the_others() -> None:
    options: Any = KINESIS
    longest = options.retries["total_max_attempts"] * (options.connect_timeout + options.read_timeout)
    assert longest < PublisherSettings(stream="orders").deliver_within.total_seconds()


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
