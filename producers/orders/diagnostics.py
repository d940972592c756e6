"""What operators of the orders API may want to know. No customer's data in any of it."""

from dataclasses import dataclass

from foundation.diagnostics import Diagnostic
from foundation.error_codes import error_code


@dataclass(frozen=True)
class NotPublished(Diagnostic):
    """A stored event is not acknowledged yet; who sent its command, or a later one, was told to repeat the request."""

    event_type: str
    event_id: str
    order_id: str
    error: str


@dataclass(frozen=True)
class AcknowledgementNotNoted(Diagnostic):
    """An event is on the stream, but its order's item does not say so: the next command may publish it once more."""

    event_type: str
    event_id: str
    order_id: str
    error: str


@dataclass(frozen=True)
class Relayed(Diagnostic):
    """So many events of an order were stored and left behind, most likely by a process that died; now they are told."""

    order_id: str
    events: int


@dataclass(frozen=True)
class NotRelayed(Diagnostic):
    """An order's events are still pending; `error` is an `error_kind`. It is tried again, with growing pauses."""

    order_id: str
    error: str


@dataclass(frozen=True)
class RelayStands(Diagnostic):
    """The relay cannot ask which orders are pending: `error` is an `error_kind`. Requests are answered all the same.

    fix: a `ValidationException` means that the orders table has no index `pending`: deploy the stack again.
    """

    error: str


@dataclass(frozen=True)
class TrackerUnread(Diagnostic):
    """The tracker's table cannot be asked, `error` is an `error_kind`: orders are shown without their timeline.

    fix: a `ResourceNotFoundException` means that there is no such table: deploy the stack again.
    """

    error: str


@dataclass(frozen=True)
class RequestFailed(Diagnostic):
    """The orders API could not do its work: `error` is its `error_kind`, `where` the line it came from."""

    method: str
    route: str
    error: str
    where: str


def error_kind(error: Exception) -> str:
    """The error's class and, of an AWS service's error, its code. Never its message: that may quote data."""
    name = type(error).__name__
    code = error_code(error)
    return f"{name}: {code}" if code and code != name else name
