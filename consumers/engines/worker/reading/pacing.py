"""How much of a shard is read how often: within the application's share of what all who poll it have together."""

from dataclasses import dataclass, replace

# A read that was refused is tried again within so long, whatever the share.
_LONGEST_PAUSE = 30.0

# Slower fast, faster slowly: even when all together ask for three times too much, only one read in four is refused.
_SLOWER, _FASTER, _SLOWEST = 2.0, 0.8, 8.0

# Whoever reads like clockwork at a shard's full rate leaves no moment in which another one is not refused.
_SPREAD = 0.1

# A read that is paid for within a second keeps nobody else off the shard; one of 10 MB does so for five seconds. One
# that is made less often brings more, or its share could never be read.
_PAID_WITHIN_SECONDS = 1.0

# Until the first answer tells: as large as the KPL makes its aggregates.
_RECORD_BYTES = 51_200.0


@dataclass(frozen=True)
class Pace:
    """`limit` is how many records the next read asks for, `until_next` the seconds from its start to the one after.

    `slowdown` doubles with each read that Kinesis refuses, since all together then ask for more than there is, and goes
    back to 1 read by read.
    """

    reads_per_second: float
    bytes_per_second: float
    slowdown: float = 1.0
    record_bytes: float = _RECORD_BYTES

    @property
    def limit(self) -> int:
        # guarantee: who reads seldom may still read its share
        paid_within = max(_PAID_WITHIN_SECONDS, 1 / self.reads_per_second)
        return max(1, int(self.bytes_per_second * paid_within / self.record_bytes))

    def until_next(self, chance: float, size: int = 0) -> float:
        """After a read that brought so many bytes; `chance`, from 0 to 1, spreads the reads a little."""
        by_reads = min(_LONGEST_PAUSE, self.slowdown / self.reads_per_second)
        return max(by_reads, size / self.bytes_per_second) * (1 + _SPREAD * chance)

    def answered(self, records: int, size: int) -> "Pace":
        record_bytes = max(1.0, size / records) if records else self.record_bytes
        return replace(self, slowdown=max(1.0, self.slowdown * _FASTER), record_bytes=record_bytes)

    def refused(self) -> "Pace":
        return replace(self, slowdown=min(self.slowdown * _SLOWER, _SLOWEST))
