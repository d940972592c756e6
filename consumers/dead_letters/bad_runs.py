"""Runs of records in a row that nobody could process: a few are bad records, ten are a bad deployment."""

from dataclasses import dataclass

from consumers.blame import loggable
from consumers.processing import ShardStop
from foundation.kinesis import SequenceNumber

MAX_IN_A_ROW = 10


class BadRuns:
    """Counts for every shard of one consumer, and outlives the processors that a stopped shard is opened anew with.

    A run of unreadable records ends with one that can be read; a run of failed steps only with one that works, since on
    a mixed stream other events always lie between.
    """

    def __init__(self, consumer: str) -> None:
        self._consumer = consumer
        self._runs: dict[tuple[str, str], _Run] = {}

    def require_not_a_deployment(self, shard_id: str, kind: str, at: SequenceNumber, error: Exception) -> None:
        """Before a record is set apart: raises `ShardStop` when it would be the tenth in a row."""
        in_a_row = self._with(shard_id, kind, at).length
        if in_a_row >= MAX_IN_A_ROW:
            raise ShardStop(
                f"{self._consumer} cannot process {in_a_row} records in a row on {shard_id}, the last at {at}: "
                f"{loggable(error)}. "
                "fix: this looks like a bad deployment, not bad records; deploy one that can process them and restart"
            ) from error

    def another(self, shard_id: str, kind: str, at: SequenceNumber) -> None:
        """A record was set apart. One that is read again does not count again."""
        self._runs[shard_id, kind] = self._with(shard_id, kind, at)

    def over(self, shard_id: str, kind: str) -> None:
        """One went well."""
        self._runs.pop((shard_id, kind), None)

    def _with(self, shard_id: str, kind: str, at: SequenceNumber) -> "_Run":
        run = self._runs.get((shard_id, kind))
        if run is None:
            return _Run(1, at)
        return run if at <= run.last else _Run(run.length + 1, at)


@dataclass(frozen=True)
class _Run:
    length: int
    last: SequenceNumber
