"""Every call of a client fails in a known way: whatever botocore does not declare is named here, with what it was."""

import threading
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

_KNOWN = (ClientError, BotoCoreError, OSError)


# botocore takes any page for an answer of a service that speaks JSON. This one numbers each of its own.
_ALWAYS_NUMBERED = frozenset({"dynamodb"})


class NotFromAws(Exception):
    """An answer without a request's id: from a proxy, as a page to log in is."""


class CallFailed(BotoCoreError):
    """A call broke off in a way that botocore does not declare: over a proxy's page that is no XML, or over credentials
    that came too late.

    `cause` is what was raised, `status` that of the HTTP answer, None when there was none. The message has no word of
    either, since these may quote what was sent.
    """

    fmt = "{service} {operation}: {kind}, {answer}"

    def __init__(self, service: str, operation: str, cause: Exception, status: int | None) -> None:
        answer = "before any answer" if status is None else f"over an answer with HTTP status {status}"
        super().__init__(service=service, operation=operation, kind=type(cause).__name__, answer=answer)
        self.cause = cause
        self.status = status


def failing_known(client: Any) -> Any:
    """The client, whose calls raise a `ClientError`, a `BotoCoreError` or an `OSError`, and nothing else."""
    service, call, answered = client.meta.service_model.service_name, client._make_api_call, _Answered()  # noqa: SLF001

    def make_api_call(operation_name: str, api_params: dict[str, Any]) -> Any:
        answered.status = None
        try:
            answer = call(operation_name, api_params)
        except _KNOWN:
            raise
        # guarantee: what a call raises has a known name
        except Exception as error:
            raise CallFailed(service, operation_name, error, answered.status) from error
        # guarantee: a write that a proxy has answered is not held to be stored
        if service in _ALWAYS_NUMBERED and "RequestId" not in answer["ResponseMetadata"]:
            raise CallFailed(service, operation_name, NotFromAws(), answered.status)
        return answer

    client.meta.events.register_first("before-parse", answered.note)
    client._make_api_call = make_api_call  # noqa: SLF001 - the one place that all of a client's methods call
    return client


class _Answered(threading.local):
    """The HTTP status of the last answer to a call of this thread."""

    status: int | None = None

    def note(self, response_dict: dict[str, Any], **_: object) -> None:
        self.status = response_dict["status_code"]
