"""What a test lets happen when a processor comes to a record."""

from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError, EndpointConnectionError

from foundation.kinesis.records import Record

AWAY = EndpointConnectionError(endpoint_url="https://sns.example")
THROTTLED = ClientError({"Error": {"Code": "Throttling", "Message": "slow down"}}, "Publish")

# A refusal that no handler knows.
UNLISTED = ClientError({"Error": {"Code": "SomethingNew", "Message": "not this one"}}, "Publish")


class Refused(Exception):
    """What a hook raises to fail one record, maybe by `because`; anything else breaks out of the processor."""

    def __init__(self, because: Exception | None = None) -> None:
        super().__init__("not now")
        self.because = because


def nothing(_: Record) -> None:
    """A hook that lets everything pass."""


def once(text: str, act: Callable[[], Any], *, times: int = 1) -> Callable[[Record], None]:
    """A hook that acts when it comes to the record with this text, so many times."""
    left = [times]

    def hook(record: Record) -> None:
        if record.data.decode() == text and left[0]:
            left[0] -= 1
            act()

    return hook


def failing(text: str, error: BaseException, *, times: int = 1) -> Callable[[Record], None]:
    def fail() -> None:
        raise error

    return once(text, fail, times=times)


def refusing(text: str, *, times: int = 1, because: Exception | None = None) -> Callable[[Record], None]:
    """A hook that fails the record."""

    def refuse() -> None:
        raise Refused(because)

    return once(text, refuse, times=times)


def raises(error: BaseException) -> Callable[[], None]:
    def act() -> None:
        raise error

    return act
