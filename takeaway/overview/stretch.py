"""What was read of one shard: a stretch of records without a gap, of which each consumer's lag is counted. Pure."""

from bisect import bisect_left, bisect_right
from collections import Counter, deque
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from foundation.kinesis import SequenceNumber
from takeaway.overview.facts import Lag, WaitingOrder

# Behind a place; from a moment on; None: from the shard's beginning.
Mark = SequenceNumber | datetime | None
# So many records of a shard are kept in mind; of more behind a checkpoint it is said that there are at least so many.
MOST_KEPT = 50_000
_MOST_LATELY = 100


class Entry(NamedTuple):
    """A user record. `event_type` is empty where it is no event."""

    key: tuple[int, int]
    arrived: float
    size: int
    event_type: str
    order_id: str


@dataclass
class Stretch:
    """All records from `begin` on, as far as they were read. `at_tip`: nothing was behind the last of them then."""

    begin: Mark
    entries: list[Entry] = field(default_factory=list)
    at_tip: bool = False

    def add(self, entries: Iterable[Entry], *, at_tip: bool) -> list[Entry]:
        """Answers with what is new of them: two stretches that met may be given a record twice."""
        last = self.entries[-1].key if self.entries else None
        new = [one for one in entries if last is None or one.key > last]
        self.entries += new
        self.at_tip = at_tip
        return new

    def covers(self, mark: Mark) -> bool:
        """Whether every record behind the mark, up to the last one here, is here."""
        if self.begin is None:
            return True
        if mark is None:
            return False
        if isinstance(mark, datetime):
            if isinstance(self.begin, datetime):
                return self.begin <= mark
            return bool(self.entries) and self.entries[0].arrived < mark.timestamp()
        if isinstance(self.begin, datetime):
            return bool(self.entries) and self.entries[0].key <= mark.key
        return self.begin <= mark

    def behind(self, mark: Mark) -> Sequence[Entry]:
        if mark is None:
            return self.entries
        if isinstance(mark, datetime):
            return self.entries[bisect_left(self.entries, mark.timestamp(), key=lambda one: one.arrived) :]
        return self.entries[bisect_right(self.entries, mark.key, key=lambda one: one.key) :]

    def forget(self, mark: Mark, moment: float) -> None:
        """What all consumers have done, who are past the mark, and no rate is measured by any more.

        Of what is left the newest `MOST_KEPT` stay.
        """
        since = bisect_left(self.entries, moment, key=lambda one: one.arrived)
        done = len(self.entries) - len(self.behind(mark))
        gone = max(min(done, since), len(self.entries) - MOST_KEPT)
        if gone > 0:
            number, sub = self.entries[gone - 1].key
            self.begin = SequenceNumber(str(number), sub)
            del self.entries[:gone]


@dataclass
class ShardRecords:
    """What is known of a shard's records: the `recent` ones, and where a consumer is far behind, `older` ones.

    The older stretch grows look by look until it meets the recent one; between the two is what was not read.
    """

    recent: Stretch
    older: Stretch | None = None

    def met(self) -> bool:
        """Joins the two when the older one has come to the recent one's first record."""
        if self.older is None:
            return True
        if not self.recent.entries:
            # Nothing is recent: the older one has the tip to itself.
            reached = self.older.at_tip
        else:
            first = self.recent.entries[0].key
            reached = bool(self.older.entries) and self.older.entries[-1].key >= first
            if reached:
                del self.older.entries[bisect_left(self.older.entries, first, key=lambda one: one.key) :]
        if reached:
            self.recent = Stretch(self.older.begin, self.older.entries + self.recent.entries, self.recent.at_tip)
            self.older = None
        return reached

    @property
    def is_full(self) -> bool:
        return self.older is not None and len(self.older.entries) >= MOST_KEPT

    def covers(self, mark: Mark) -> bool:
        return self.recent.covers(mark) or (self.older is not None and self.older.covers(mark))

    def lag(self, mark: Mark, now: float, listens_to: Collection[str] = ()) -> Lag:
        """Of a consumer whose checkpoint is `mark`; it listens to these types, to everything where there are none."""
        some = list(self.recent.behind(mark))
        whole = self.recent.covers(mark)
        reached = whole
        if not whole and self.older is not None:
            reached = self.older.covers(mark)
            some = [*self.older.behind(mark), *some]
        heard = next((one for one in some if not listens_to or one.event_type in listens_to), None)
        return Lag(
            records=len(some),
            at_least=not (whole and self.recent.at_tip),
            seconds=(max(0.0, now - some[0].arrived) if some else 0.0) if reached else None,
            of_types=Counter(one.event_type for one in some if one.event_type),
            oldest=None
            if heard is None or not reached
            else WaitingOrder(heard.order_id, heard.event_type, max(0.0, now - heard.arrived)),
        )

    def rate(self, now: float, window: float) -> tuple[float, float, float]:
        """Records and bytes a second that came in lately, and over how many seconds that was measured."""
        some = self.recent.entries[bisect_left(self.recent.entries, now - window, key=lambda one: one.arrived) :]
        if not some:
            return 0.0, 0.0, window
        # Where it was not read up to the tip, what was read tells.
        over = window if self.recent.at_tip else max(1.0, some[-1].arrived - some[0].arrived)
        # An aggregate is one record to the limit.
        records = sum(one.key[1] == 0 for one in some)
        return records / over, sum(one.size for one in some) / over, over


@dataclass
class Lately:
    """Orders of which something came, the newest first."""

    orders: tuple[str, ...] = ()

    def note(self, shards: Iterable[ShardRecords]) -> None:
        newest = [(one.arrived, one.order_id) for shard in shards for one in shard.recent.entries[-_MOST_LATELY:]]
        ids = (order_id for _, order_id in sorted(newest, reverse=True) if order_id)
        self.orders = tuple(dict.fromkeys((*ids, *self.orders)))[:_MOST_LATELY]


@dataclass
class Counts:
    """Events by type since the look began, each record of the recent stretch once."""

    of_types: Counter[str] = field(default_factory=Counter)
    lately: deque[tuple[float, str]] = field(default_factory=deque)

    def add(self, entries: Iterable[Entry], since: float) -> None:
        for one in entries:
            if one.event_type:
                self.lately.append((one.arrived, one.event_type))
                if one.arrived >= since:
                    self.of_types[one.event_type] += 1

    def per_second(self, now: float, window: float) -> dict[str, float]:
        while self.lately and self.lately[0][0] < now - window:
            self.lately.popleft()
        return {name: count / window for name, count in Counter(name for _, name in self.lately).items()}
