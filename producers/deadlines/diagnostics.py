"""What the watcher tells. No customer's data in any of it."""

from dataclasses import dataclass
from datetime import datetime

from foundation.diagnostics import Diagnostic


@dataclass(frozen=True)
class StepOverdue(Diagnostic):
    """`actor` had to tell `tells` (one of several, with "or") by `due`, since it heard the event `heard` at `since`.

    `owner` is the team that answers for it. Told once for each order, step and event heard; the order waits on.
    """

    order_id: str
    actor: str
    owner: str
    tells: str
    because_of: str
    heard: str
    since: datetime
    due: datetime


@dataclass(frozen=True)
class OrderGivenUp(Diagnostic):
    """No answer came by `due`, and the order has expired, `seconds_late` after that."""

    order_id: str
    due: datetime
    seconds_late: float


@dataclass(frozen=True)
class ExpiryRefused(Diagnostic):
    """The order was not to expire any more: `because` is the state that another command led it to, or `UnknownOrder`.

    An answer in the last moment is the usual reason; the tracker has not heard of it yet.
    """

    order_id: str
    because: str


@dataclass(frozen=True)
class NotWatched(Diagnostic):
    """An order's deadlines could not be seen to; `error` is an `error_kind`. It is tried again, with growing pauses."""

    order_id: str
    error: str


@dataclass(frozen=True)
class WatcherStands(Diagnostic):
    """The watcher cannot ask which orders are due: `error` is an `error_kind`. It is tried again, with growing pauses.

    fix: a `ValidationException` means that the tracker's table has no index `due`: deploy the stack again.
    """

    error: str
