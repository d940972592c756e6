"""A shard's write quota, spent like tokens: each comes back a second after Kinesis has counted it.

A lone writer that keeps to it is never throttled; one that shares the shard finds out how much is left for it.
"""

from collections import deque
from dataclasses import dataclass, field

from foundation.kinesis import WRITE_BYTES_PER_SECOND, WRITE_RECORDS_PER_SECOND

_SECOND = 1.0
# What a throttled record takes off our share of the quota, and what a second without one gives back.
_CUT = 0.8
_REGAINED_A_SECOND = 0.05
_LEAST_SHARE = 1 / 64


@dataclass(frozen=True)
class Quota:
    """What a shard takes in any one second."""

    bytes_a_second: float = WRITE_BYTES_PER_SECOND
    records_a_second: float = WRITE_RECORDS_PER_SECOND


KINESIS_QUOTA = Quota()


@dataclass
class ShardBudget:
    """One shard's. Times are the clock's monotonic seconds; `share` is how much of the quota we believe to be ours."""

    quota: Quota
    share: float = 1.0
    _spent: deque[tuple[float, int]] = field(default_factory=deque)
    _spent_bytes: int = 0
    _changed_at: float | None = None

    def left(self, now: float) -> float:
        """How many bytes one more record may have. An untouched budget takes a record of any size."""
        self._take_back(now)
        if not self._spent:
            return float("inf")
        if len(self._spent) >= self.quota.records_a_second * self.share:
            return 0
        return max(0.0, self.quota.bytes_a_second * self.share - self._spent_bytes)

    def enough_at(self, size: int, now: float) -> float:
        """When a record of this size may go; now, or when enough of what was spent has come back."""
        self._take_back(now)
        spent_bytes, spent_records = self._spent_bytes, len(self._spent)
        at = now
        for counted_at, counted in self._spent:
            fits = spent_bytes + size <= self.quota.bytes_a_second * self.share
            if fits and spent_records < self.quota.records_a_second * self.share:
                return at
            at = counted_at + _SECOND
            spent_bytes -= counted
            spent_records -= 1
        return at

    def spend(self, size: int, counted_at: float) -> None:
        """Kinesis counted a record at that time, and took it."""
        # guarantee: a shard is asked for no more than its quota
        self._spent.append((counted_at, size))
        self._spent_bytes += size
        if self._changed_at is not None and self.share < 1:
            self.share = min(1.0, self.share + _REGAINED_A_SECOND * max(0.0, counted_at - self._changed_at))
            self._changed_at = counted_at

    def throttled(self, now: float) -> None:
        """Kinesis refused a record that we thought would fit: somebody else writes to this shard."""
        self.share = max(_LEAST_SHARE, self.share * _CUT)
        self._changed_at = now

    def _take_back(self, now: float) -> None:
        while self._spent and self._spent[0][0] + _SECOND <= now:
            self._spent_bytes -= self._spent.popleft()[1]
