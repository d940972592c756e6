"""What handles records, for whoever feeds it by rules: it hears a record, recalls what is known, and does its work."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from foundation.kinesis import Record

HeardT = TypeVar("HeardT")


class Awaited(Protocol):
    """A future, as far as it is used here: the standard library's, or the publisher's own."""

    def result(self) -> object:
        """Waits, and raises what it has failed with."""


# What a record that was handled still waits for: a future that must not fail, or nothing.
Promise = Awaited | None


@dataclass(frozen=True)
class Handled:
    """A handler's answer: a promise for each record it did, in order, and why it did not do the next one.

    Records behind the one that failed are given to it again.
    """

    promises: Sequence[Promise]
    error: Exception | None = None


class RecordHandler(Protocol[HeardT]):
    """A consumer's own work. `hear` and `recall` are called by one thread, `handle` by one for each partition key."""

    def hear(self, record: Record) -> HeardT | None:
        """What the record says to this consumer; None when that is nothing. Raises for a record nobody can read."""

    def order_of(self, heard: HeardT) -> str | None:
        """What a record is in order with that came without a partition key. Those without any keep the stream's."""

    def recall(self, heard: Sequence[HeardT]) -> None:
        """Called once before each attempt at a batch, with all that is about to be handled."""

    def handle(self, heard: Sequence[HeardT]) -> Handled | None:
        """Does the work for records of one key, in order; None when all of it is done.

        `Handled.error` names the record that failed. An error that is raised may be any one's: which it is, is found
        by halving. Records handled in a call that raises are handled again, so naming is better.
        """
