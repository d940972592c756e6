"""What keeps a shard from getting on, folded from what is said of it while it is read."""

from collections.abc import Callable

from consumers.diagnostics import CheckpointFailed, ReadFailed, ShardFailed, ShardGoesOn, ShardStopped, ShardWaits
from consumers.processing import Trouble
from foundation.clock import Clock
from foundation.diagnostics import Diagnostic, Emit, in_words

_OF_READING = (ReadFailed,)
_OF_THE_REST = (ShardWaits, ShardFailed, ShardStopped, CheckpointFailed)


class ShardHealth:
    """Stands in for `emit` while one shard is read: each diagnostic goes on, and those that tell trouble are kept.

    `tell` is given the trouble whenever it is another one, and None when it is over. Trouble with reading is over once
    something was read. All other trouble lasts until the shard has got on: its checkpoint moved, or all that there was
    up to the tip was taken and is done. That a processor opens again, or takes what it took before, is no end of it.
    """

    def __init__(self, shard_id: str, *, tell: Callable[[Trouble | None], None], clock: Clock, emit: Emit) -> None:
        self._shard_id = shard_id
        self._tell = tell
        self._clock = clock
        self._emit = emit
        self._trouble: Trouble | None = None
        self._is_reading = False

    def emit(self, diagnostic: Diagnostic) -> None:
        if isinstance(diagnostic, _OF_READING + _OF_THE_REST) and diagnostic.error is not None:
            since = self._clock.now() if self._trouble is None else self._trouble.since
            # Reading that fails does not end what else is wrong.
            self._is_reading = isinstance(diagnostic, _OF_READING) and (self._trouble is None or self._is_reading)
            self._trouble = Trouble(in_words(diagnostic.error), since, isinstance(diagnostic, ShardStopped))
            # guarantee: what keeps a shard from getting on is noted
            self._tell(self._trouble)
        self._emit(diagnostic)

    def has_read(self) -> None:
        """Kinesis answered."""
        # guarantee: that something is read ends no other trouble
        if self._is_reading:
            self.has_got_on()

    def has_got_on(self) -> None:
        """The checkpoint moved, or all there is was taken."""
        if self._trouble is None:
            return
        seconds = (self._clock.now() - self._trouble.since).total_seconds()
        self._trouble, self._is_reading = None, False
        self._tell(None)
        self._emit(ShardGoesOn(self._shard_id, seconds))
