"""Whose fault an error is: the record's, a dependency's, or ours; and what may be held against a record."""

import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    IncompleteReadError,
    NoCredentialsError,
    ParamValidationError,
    ReadTimeoutError,
)

from consumers.mail.letter import Letter
from consumers.mail.ses import Mail
from consumers.notifiers.restaurant import Ticket, TicketTopic
from consumers.processing import AllMustWait, ShardStop, Unavailable, Unprocessable
from consumers.verdicts import Suspected, Verdict, loggable, may_be_of_content, verdict_of, without_words
from events.wire import UnreadableEvent
from foundation import aws
from foundation.calls import CallFailed
from producers.publishing.publisher import PublishFailed

RECORD, DEPENDENCY, OURS = Verdict.RECORD, Verdict.DEPENDENCY, Verdict.OURS


def answered(code: str, status: int | None = None) -> ClientError:
    metadata = {} if status is None else {"HTTPStatusCode": status}
    response: Any = {"Error": {"Code": code, "Message": "to <ada@example.com>"}, "ResponseMetadata": metadata}
    return ClientError(response, "SendEmail")


def unavailable(cause: Exception | None) -> Unavailable:
    error = Unavailable("not now")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (Unprocessable("refused"), RECORD),
        (UnreadableEvent("torn"), RECORD),
        (Suspected("refused again and again"), RECORD),
        (Unavailable("down"), DEPENDENCY),
        (AllMustWait("no outcome can be stored"), DEPENDENCY),
        (PublishFailed("not acknowledged"), DEPENDENCY),
        (answered("Throttling"), DEPENDENCY),
        (answered("SomethingNew"), DEPENDENCY),
        (CallFailed("sns", "Publish", RuntimeError("?"), None), DEPENDENCY),
        (EndpointConnectionError(endpoint_url="https://sns.example"), DEPENDENCY),
        (CredentialRetrievalError(provider="sso", error_msg="late"), DEPENDENCY),
        (NoCredentialsError(), DEPENDENCY),
        (OSError("no route"), DEPENDENCY),
        (TimeoutError(), DEPENDENCY),
        (ParamValidationError(report="Missing required parameter"), OURS),
        (KeyError("menu"), OURS),
        (RecursionError(), OURS),
        (MemoryError(), OURS),
        (ShardStop("held"), Verdict.STOP),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_verdict_on_an_error(error: Exception, verdict: Verdict) -> None:
    assert verdict_of(error) is verdict


@pytest.mark.parametrize(
    "code",
    [
        "AccessDenied",
        "SomethingNew",
        "RecipientRefused",
        "ValidationError",
        "413",
        "EndpointDisabled",
        "MessageTooLong",
    ],
)
def test_a_refusal_may_be_about_what_was_sent(code: str) -> None:
    assert may_be_of_content(answered(code))
    assert may_be_of_content(answered(code, 400))
    assert may_be_of_content(unavailable(answered(code)))


@pytest.mark.parametrize(
    "code",
    [
        *("Throttling", "Throttled", "ThrottlingException", "TooManyRequestsException", "SlowDown"),
        *("RequestLimitExceeded", "LimitExceededException", "ProvisionedThroughputExceededException"),
        *("KMSThrottling", "KMSDisabled", "KMSAccessDenied", "KMSInvalidState"),
        *("ServiceUnavailable", "InternalError", "InternalFailure", "InternalServerError", "ServiceFailure", "503"),
        *("RequestTimeout", "RequestTimeoutException", "RequestExpired", "ExpiredToken", "RequestTimeTooSkewed", "408"),
        *("UnrecognizedClientException", "InvalidClientTokenId", "SignatureDoesNotMatch", "InvalidSecurity.Token"),
        *("IncompleteSignature", "MissingAuthenticationToken", "InvalidAccessKeyId", "OptInRequired"),
    ],
)
def test_what_passes_by_itself_is_held_against_no_record(code: str) -> None:
    assert not may_be_of_content(answered(code))
    assert not may_be_of_content(unavailable(answered(code, 400)))


def cancelled(*reasons: str) -> ClientError:
    """As DynamoDB answers a transaction: always with 400, and why is told for each of its items."""
    response: Any = {
        "Error": {"Code": "TransactionCanceledException", "Message": "to <ada@example.com>"},
        "ResponseMetadata": {"HTTPStatusCode": 400},
        "CancellationReasons": [{"Code": reason, "Message": "to <ada@example.com>"} for reason in reasons],
    }
    return ClientError(response, "TransactWriteItems")


@pytest.mark.parametrize("reason", ["ThrottlingError", "ProvisionedThroughputExceeded", "RequestLimitExceeded"])
def test_a_transaction_that_was_throttled_is_held_against_no_record(reason: str) -> None:
    assert not may_be_of_content(cancelled("None", reason))
    assert not may_be_of_content(unavailable(cancelled("ValidationError", reason)))
    told = f"ClientError: TransactWriteItems answered TransactionCanceledException because of {reason}"
    assert loggable(cancelled("None", reason, reason)) == told


def test_a_transaction_of_something_that_cannot_be_stored_may_be_about_that() -> None:
    assert may_be_of_content(cancelled("None", "ValidationError"))
    assert may_be_of_content(cancelled())


@pytest.mark.parametrize("status", [401, 407, 408, 429, 500, 502, 503, 504])
def test_nor_is_an_answer_whose_status_speaks_of_the_moment(status: int) -> None:
    assert not may_be_of_content(answered("SomethingNew", status))
    assert not may_be_of_content(CallFailed("sns", "Publish", ValueError("a page"), status))


@pytest.mark.parametrize(
    "error",
    [
        EndpointConnectionError(endpoint_url="https://sns.example"),
        ConnectTimeoutError(endpoint_url="https://sns.example"),
        ReadTimeoutError(endpoint_url="https://sns.example"),
        IncompleteReadError(actual_bytes=1, expected_bytes=2),
        NoCredentialsError(),
        CallFailed("sns", "Publish", RuntimeError("credentials that are still expired"), None),
        CallFailed("sns", "Publish", ValueError("a page"), 200),
        OSError("no route"),
        Unavailable("down"),
        unavailable(OSError("no route")),
    ],
    ids=lambda error: type(error).__name__,
)
def test_nor_is_a_call_that_nobody_answered(error: Exception) -> None:
    assert not may_be_of_content(error)


@pytest.mark.parametrize(
    "error",
    [
        CallFailed("sns", "Publish", ValueError("a firewall's page"), 403),
        CallFailed("ses", "SendEmail", ValueError("no body"), 413),
        CallFailed("ses", "SendEmail", UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates"), None),
    ],
)
def test_what_cannot_be_written_or_is_turned_away_may_be_about_what_was_sent(error: Exception) -> None:
    assert may_be_of_content(error)


def test_a_log_has_neither_a_services_nor_a_handlers_words() -> None:
    def handler() -> None:
        raise KeyError("ada@example.com")

    with pytest.raises(KeyError) as raised:
        handler()
    assert loggable(raised.value).startswith("KeyError at test_verdicts.py:")
    assert loggable(answered("MessageRejected")) == "ClientError: SendEmail answered MessageRejected"
    for error in (ParamValidationError(report="value: ada@example.com"), CallFailed("a", "B", ValueError("ada@"), 403)):
        assert "ada@" not in loggable(error)


# A real client, and what stands between it and AWS.

TICKET = Ticket(
    event_id="e", order_id="o", restaurant_id="r", placed_at=datetime(2026, 3, 14, tzinfo=UTC), items=(), total=1,
    currency="EUR",
)  # fmt: skip
LETTER = Letter(to="a@b.c", name="n", subject="s", sentences=("t",), reference="ref")
PAGE = b"<!DOCTYPE html><html><body>ada@example.com</body></html>"
ODD_ANSWERS: Mapping[str, tuple[int, bytes]] = {
    "408 without a body": (408, b""),
    "413 without a body": (413, b""),
    "429 in plain text": (429, b"slow down"),
    "403 with a page": (403, PAGE),
    "407 in plain text": (407, b"Proxy Authentication Required"),
    "502 with a page": (502, b"<html><body>bad gateway</body></html>"),
    "503 with a page": (503, PAGE),
    "503 in plain text": (503, b"upstream connect error or disconnect/reset before headers"),
    "200 without a body": (200, b""),
    "200 with a page": (200, PAGE),
    "200 with half of an answer": (200, b"<PublishResponse><PublishResult>"),
    "200 with other bytes": (200, b"\xff\xfe\x00"),
}


class Stub(ThreadingHTTPServer):
    answer: tuple[int, bytes] = (200, b"")

    def handle_error(self, *_: object) -> None:
        """A client that hangs up is no news."""


class _Answers(BaseHTTPRequestHandler):
    server: Stub
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        status, body = self.server.answer
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing on the terminal."""


@pytest.fixture(scope="module")
def stub() -> Iterator[Stub]:
    server = Stub(("127.0.0.1", 0), _Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def client(service: str, stub: Stub) -> Any:
    environ = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{stub.server_port}",
        "AWS_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
    }
    return aws.client(service, environ, Config(retries={"mode": "standard", "total_max_attempts": 1}))


@pytest.mark.slow
@pytest.mark.parametrize("odd", ODD_ANSWERS)
@pytest.mark.parametrize("service", ["sns", "ses", "dynamodb"])
def test_whatever_answers_in_a_services_place_is_waited_out(stub: Stub, service: str, odd: str) -> None:
    stub.answer = ODD_ANSWERS[odd]
    calls: Mapping[str, Callable[[], object]] = {
        "sns": lambda: TicketTopic(client("sns", stub), "arn:aws:sns:eu-west-1:1:t").send(TICKET),
        "ses": lambda: Mail(client("ses", stub), "x@y.z").send(LETTER),
        "dynamodb": lambda: client("dynamodb", stub).put_item(TableName="t", Item={"a": {"S": "x"}}),
    }
    with pytest.raises(Exception) as raised:  # noqa: PT011 - of any class: the verdict on it counts
        calls[service]()
    assert verdict_of(raised.value) is DEPENDENCY
    assert "ada@" not in loggable(raised.value)
    assert may_be_of_content(raised.value) is (stub.answer[0] in {403, 413})


@pytest.mark.slow
def test_a_page_in_dynamodbs_place_stores_nothing(stub: Stub) -> None:
    stub.answer = ODD_ANSWERS["200 with a page"]
    with pytest.raises(CallFailed, match="dynamodb PutItem: NotFromAws, over an answer with HTTP status 200"):
        client("dynamodb", stub).put_item(TableName="t", Item={"a": {"S": "x"}})


@pytest.mark.slow
def test_credentials_that_come_too_late_are_waited_out(stub: Stub) -> None:
    def late(**_: object) -> None:
        raise RuntimeError("Credentials were refreshed, but the refreshed credentials are still expired.")

    sns = client("sns", stub)
    sns.meta.events.register("before-sign", late)
    with pytest.raises(CallFailed) as raised:
        TicketTopic(sns, "arn:aws:sns:eu-west-1:1:t").send(TICKET)
    assert raised.value.status is None
    assert verdict_of(raised.value) is DEPENDENCY
    assert not may_be_of_content(raised.value)


@pytest.mark.slow
def test_a_request_that_we_made_wrong_is_ours(stub: Stub) -> None:
    with pytest.raises(ParamValidationError) as raised:
        client("sns", stub).publish(TopicArn=7)
    assert verdict_of(raised.value) is OURS


def test_a_topic_or_a_sender_that_is_none_is_no_fault_of_the_message() -> None:
    class Refuses:
        def __getattr__(self, name: str) -> Any:
            def call(**_: Any) -> None:
                code, words = {
                    "publish": ("InvalidParameter", "Invalid parameter: TopicArn Reason: An ARN must have six parts"),
                    "send_email": ("MessageRejected", "Email address is not verified: orders@takeaway.example"),
                }[name]
                raise ClientError({"Error": {"Code": code, "Message": words}}, name)

            return call

    refuses: Any = Refuses()
    with pytest.raises(Unavailable):
        TicketTopic(refuses, "arn").send(TICKET)
    with pytest.raises(Unavailable):
        Mail(refuses, "orders@takeaway.example").send(LETTER)


@pytest.mark.parametrize(
    ("error", "kept"),
    [
        (answered("Throttling"), "ClientError: SendEmail answered Throttling"),
        (unavailable(answered("Throttling")), "Unavailable: SendEmail answered Throttling"),
        (unavailable(TimeoutError("ada@example.com")), "Unavailable: TimeoutError"),
        (Unavailable("to ada@example.com"), "Unavailable"),
        (KeyError("ada@example.com"), "KeyError"),
    ],
)
def test_what_is_kept_of_a_failure_says_what_it_was_and_quotes_nothing(error: Exception, kept: str) -> None:
    assert without_words(error) == kept


def test_what_is_kept_of_a_failure_is_short() -> None:
    assert len(without_words(answered("C" * 5000))) == 120
