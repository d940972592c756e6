"""What a publisher gives for an event: a future of it, light enough for a million of them."""

import threading
from typing import Any

import msgspec

_making_waiters = threading.Lock()


class PublishFailed(Exception):
    """This event was not acknowledged. It may be on the stream all the same; publishing it again is harmless."""


class Published(msgspec.Struct, frozen=True, gc=False):
    """Kinesis has it: where, and after how many attempts.

    `sub_sequence_number` is the place inside an aggregated record, and 0 in a plain one.
    """

    shard_id: str
    sequence_number: str
    attempts: int
    sub_sequence_number: int = 0


class Publication(msgspec.Struct, eq=False, gc=False):
    """One record on its way, and the future of its answer. `subject` names it in errors.

    It cannot be cancelled, since it may be under way. The standard library's future would cost more than all the rest
    of publishing. Once it is queued only the sending thread changes it; times are the clock's monotonic seconds.
    """

    partition_key: str
    data: bytes
    subject: str = "a record"
    give_up_at: float = 0.0
    failed_attempts: int = 0
    last_error: str = "it was never sent"
    _outcome: Published | PublishFailed | None = None
    # Of threading.Event; made by who waits.
    _waiter: Any = None

    @property
    def size(self) -> int:
        """In bytes, as Kinesis counts a plain record."""
        return len(self.data) + len(self.partition_key.encode())

    def done(self) -> bool:
        return self._outcome is not None

    def result(self, timeout: float | None = None) -> Published:
        """Waits for the answer, so many seconds at most. Raises `PublishFailed`, or TimeoutError."""
        outcome = self._awaited(timeout)
        if isinstance(outcome, PublishFailed):
            # Another one each time: what is raised holds the frames of whoever asked, and this here would hold it.
            raise PublishFailed(*outcome.args)
        return outcome

    def exception(self, timeout: float | None = None) -> PublishFailed | None:
        """Waits in the same way; the failure, or None when the record is on the stream."""
        outcome = self._awaited(timeout)
        return PublishFailed(*outcome.args) if isinstance(outcome, PublishFailed) else None

    def settle(self, outcome: Published | PublishFailed) -> None:
        """Answers it; for the sending thread alone, once."""
        # Who begins to wait looks for an outcome after leaving a waiter, so one of us two sees the other.
        self._outcome = outcome
        if self._waiter is not None:
            self._waiter.set()

    def _awaited(self, timeout: float | None) -> Published | PublishFailed:
        if self._outcome is None:
            with _making_waiters:
                if self._waiter is None:
                    self._waiter = threading.Event()
            if self._outcome is None:
                self._waiter.wait(timeout)
        if self._outcome is None:
            raise TimeoutError
        return self._outcome
