"""Runs of records in a row that nobody could process: a few are bad records, ten are a bad deployment."""

from collections import Counter

from consumers.processing import ShardStop

MAX_IN_A_ROW = 10


class BadRuns:
    """Counts for every shard of one consumer, and outlives the processors that a stopped shard is opened anew with.

    A run of unreadable records ends with one that can be read; a run of failed steps only with one that works, since on
    a mixed stream other events always lie between.
    """

    def __init__(self, consumer: str) -> None:
        self._consumer = consumer
        self._runs: Counter[tuple[str, str]] = Counter()

    def require_not_a_deployment(self, shard_id: str, kind: str, at: object, error: Exception) -> None:
        """Before a record is set apart. Raises `ShardStop` when it would be the tenth in a row; it stays where it is."""
        in_a_row = self._runs[shard_id, kind] + 1
        if in_a_row >= MAX_IN_A_ROW:
            raise ShardStop(
                f"{self._consumer} cannot process {in_a_row} records in a row on {shard_id}, the last at {at}: {error}."
                " fix: this looks like a bad deployment, not bad records; deploy one that can process them and restart"
            ) from error

    def another(self, shard_id: str, kind: str) -> None:
        """A record was set apart."""
        self._runs[shard_id, kind] += 1

    def over(self, shard_id: str, kind: str) -> None:
        """One went well."""
        self._runs.pop((shard_id, kind), None)
