"""A handler raised, what now: whose fault an error is, in one place for every consumer."""

import re
import traceback
from enum import Enum

from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

from consumers.processing import ShardStop, Unavailable, Unprocessable
from events import UnknownEvent, UnreadableEvent
from foundation.calls import CallFailed
from foundation.error_codes import error_code, reason_codes
from producers.publishing import PublishFailed

_RECORD = (Unprocessable, UnreadableEvent)
_DEPENDENCY = (BotoCoreError, ClientError, OSError, PublishFailed, Unavailable)

# Codes of what passes, whoever asks: throttling, a service in trouble, keys and signatures that ran out, KMS.
_PASSING_CODE = re.compile(
    "throttl|too_?many|slow_?down|(limit|rate|quota|throughput)_?exceeded|unavailable|internal|time_?out|timed_?out"
    "|service_?(failure|error)|expired|skew|kms|token|credential|signature|access_?key|authenticat|client_?(id|exception)"
    "|opt_?in|paused|in_?progress|try_?again",
    re.IGNORECASE,
)
# HTTP statuses below 500 that say nothing of a request's content: who asks, a proxy, and how often or how slowly.
_PASSING_STATUS = frozenset({401, 407, 408, 425, 429})
# A request that could not be written: text that is no UTF-8, a value of a type that nobody expected.
_UNWRITABLE = (UnicodeError, TypeError)
# Characters. A code is a service's, or whatever stands before it.
_MOST_KEPT = 120


class Verdict(Enum):
    """The value is what a log says.

    RECORD: nobody can ever process it, so it is set apart at once, in any number.
    DEPENDENCY: waited out for as long as it lasts. What keeps failing while others work is set apart as suspected.
    OURS: our own code failed. Tried again; one record is set apart when others work, and when none works all stand.
    STOP: deliberate: the shard stops.
    """

    RECORD = "the record's"
    DEPENDENCY = "a dependency's"
    OURS = "ours"
    STOP = "a deliberate stop"


class Suspected(Unprocessable):
    """A dependency kept failing for this record while it worked for others: that shows what no list of codes says."""


def verdict_of(error: BaseException) -> Verdict:
    if isinstance(error, ShardStop):
        return Verdict.STOP
    if isinstance(error, _RECORD):
        return Verdict.RECORD
    # Our own code made that request.
    if isinstance(error, ParamValidationError):
        return Verdict.OURS
    # guarantee: whatever a call raises is waited out
    if isinstance(error, _DEPENDENCY):
        return Verdict.DEPENDENCY
    return Verdict.OURS


def told(error: BaseException) -> str:
    """The verdict in a word or two, as letters and logs have it: two kinds of the record's have one of their own."""
    if isinstance(error, Suspected):
        return "suspected"
    if isinstance(error, UnknownEvent):
        return "newer than this release"
    return verdict_of(error).value


def may_be_of_content(error: BaseException | None) -> bool:
    """Whether a dependency's failure could be about what it was sent: only such a one is ever held against a record.

    A refusal of access could: SES' policies may name recipients.
    """
    if isinstance(error, CallFailed):
        if error.status is None:
            return isinstance(error.cause, _UNWRITABLE)
        return _refuses(error.status)
    if isinstance(error, ClientError):
        code = error_code(error) or ""
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        if code.isdecimal():
            status = int(code)
        # guarantee: what passes by itself is never held against a record
        if any(map(_PASSING_CODE.search, (code, *_reasons(error)))):
            return False
        return status is None or _refuses(status)
    return isinstance(error, Unavailable) and may_be_of_content(error.__cause__)


def _reasons(error: ClientError) -> tuple[str, ...]:
    """Why a transaction was cancelled: its own code says nothing of that, and its status is always 400."""
    # guarantee: a transaction that was throttled is never held against a record
    return tuple(dict.fromkeys(code for code in reason_codes(error) if code != "None"))


def _refuses(status: int) -> bool:
    return 400 <= status < 500 and status not in _PASSING_STATUS


def without_words(error: BaseException) -> str:
    """What an error is, for what is kept and shown: its class, and what a service answered to which call. No message,
    whoever wrote it: it may name what was sent.
    """
    for one in (error, error.__cause__):
        if isinstance(one, ClientError):
            return f"{type(error).__name__}: {one.operation_name} answered {error_code(one)}"[:_MOST_KEPT]
    cause = f": {type(error.__cause__).__name__}" if error.__cause__ else ""
    # guarantee: what is kept of an effect's failure has no word of its message
    return f"{type(error).__name__}{cause}"[:_MOST_KEPT]


def loggable(error: BaseException) -> str:
    """What a log may say. The words of a service, and of a handler's own error, may quote the record: of these, only
    what it is and where it comes from.
    """
    if isinstance(error, ClientError):
        because = f" because of {', '.join(reasons)}" if (reasons := _reasons(error)) else ""
        return f"{type(error).__name__}: {error.operation_name} answered {error_code(error)}{because}"
    if isinstance(error, ParamValidationError) or verdict_of(error) is Verdict.OURS:
        raised_at = traceback.extract_tb(error.__traceback__)[-1:]
        return type(error).__name__ + "".join(f" at {at.filename.rsplit('/', 1)[-1]}:{at.lineno}" for at in raised_at)
    return f"{type(error).__name__}: {error}"
