"""Up to when the tracker has read the stream as a whole."""

from collections.abc import Callable, Collection
from datetime import datetime

from foundation.clock import Clock
from producers.tracking import ReadShards

# So many seconds what was found out is good for: a round asks once or twice, however much is due.
_KNOWN_FOR = 1.0


class Reach:
    """`open_shards` names those that take records now, and raises when that is not known.

    A shard is read behind its parents, so where all open shards are read up to a moment, so is every closed one of
    which they came: all that came onto the stream by then, of any order under any key, is stored.
    """

    def __init__(self, open_shards: Callable[[], Collection[str]], shards: ReadShards, *, clock: Clock) -> None:
        self._open_shards = open_shards
        self._shards = shards
        self._clock = clock
        self._known: datetime | None = None
        self._known_until: float | None = None

    def until(self) -> datetime | None:
        """None where an open shard is not begun: nothing can be said then of what is missing."""
        if self._known_until is None or self._clock.monotonic() >= self._known_until:
            self._known = self._found()
            self._known_until = self._clock.monotonic() + _KNOWN_FOR
        return self._known

    def _found(self) -> datetime | None:
        asked_at = self._clock.now()
        read_until = self._shards.until(self._open_shards())
        # guarantee: of shards that were opened after the question nothing is said
        return min(read_until, asked_at) if read_until else None
