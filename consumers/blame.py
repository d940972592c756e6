"""Whose fault an error is: that decides what becomes of the record it came with."""

import traceback
from enum import Enum, auto

from botocore.exceptions import BotoCoreError, ClientError

from consumers.processing import ShardStop, Unavailable, Unprocessable
from events import UnreadableEvent
from producers.publishing import PublishFailed

_RECORD = (Unprocessable, UnreadableEvent)
_WORLD = (BotoCoreError, ClientError, OSError, PublishFailed, Unavailable)


class Fault(Enum):
    """RECORD: nobody can ever process it, so it is set apart at once.
    WORLD: waited out for as long as it lasts, since the record is not to blame.
    HANDLER: its own error on this record: tried a few times, and then the record is held to be broken.
    DEPLOYMENT: the shard stops.
    """

    RECORD = auto()
    WORLD = auto()
    HANDLER = auto()
    DEPLOYMENT = auto()


def fault_of(error: BaseException) -> Fault:
    if isinstance(error, ShardStop):
        return Fault.DEPLOYMENT
    if isinstance(error, _RECORD):
        return Fault.RECORD
    if isinstance(error, _WORLD):
        return Fault.WORLD
    return Fault.HANDLER


def loggable(error: Exception) -> str:
    """What a log may say: a handler's own error may quote the record, so only what it is and where it comes from."""
    if fault_of(error) is not Fault.HANDLER:
        return f"{type(error).__name__}: {error}"
    raised_at = traceback.extract_tb(error.__traceback__)[-1:]
    return type(error).__name__ + "".join(f" at {at.filename.rsplit('/', 1)[-1]}:{at.lineno}" for at in raised_at)
