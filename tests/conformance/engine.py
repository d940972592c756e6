"""What the suite asks of an engine. What one of them cannot do is in `tests.conformance.differences`."""

from collections.abc import Callable
from typing import Protocol

from foundation.kinesis.records import Position

FIRST = "shardId-000000000000"


class Gone(BaseException):
    """The process is gone: nothing that handles errors sees it."""


class Engine(Protocol):
    """One of the three, with what it needs around it.

    A process that is gone repeats at most `most_repeated` effects, when they come one after the other.
    """

    most_repeated: int

    def start(self) -> None:
        """A process of the consumer; a second call makes a second one. Lambda makes its own."""

    def stop(self) -> None:
        """As SIGTERM to the process that was started last; comes back when it has ended."""

    def crash(self) -> None:
        """As kill -9 to the process that was started last."""

    def die(self) -> None:
        """Called out of a processor: its process is gone at this very point."""

    def freeze(self) -> Callable[[], None]:
        """The process that was started last stands still, as on a machine that pauses. The answer lets it go on."""

    def break_checkpoints(self, times: int) -> None:
        """The next ones are throttled."""

    def lose_answer(self) -> None:
        """The next checkpoint, or invocation, is done, and its answer lost."""

    def checkpoint(self, shard_id: str = FIRST) -> Position:
        """From where another process would go on."""

    def end(self) -> None:
        """Ends whatever still runs."""
