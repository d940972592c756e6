"""Letters that will not be given again: moved aside with a reason, or brought back. Safe to cut short and to repeat."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from itertools import islice

from botocore.exceptions import ClientError

from consumers.dead_letters.claims import BUSY, Claims
from consumers.dead_letters.forms import NoLetter
from consumers.dead_letters.stored import READERS, S3DeadLetters
from foundation.clock import Clock, Wait
from foundation.ids import NewId


class Ending(Enum):
    """What became of a letter. BUSY: another command has it; GONE: another was done with it, or it is no such key."""

    DROPPED = "dropped"
    RESTORED = "restored"
    BUSY = "busy"
    GONE = "gone"
    LEFT = "left"
    NOT_TRIED = "not tried"


class Drops:
    """Safe beside redrives, consumers and other drops: a letter is claimed, copied under `dropped/`, then removed."""

    def __init__(self, letters: S3DeadLetters, *, clock: Clock, wait: Wait, new_id: NewId) -> None:
        self._letters = letters
        self._claims = Claims(letters, clock, new_id())
        self._clock = clock
        self._wait = wait

    def drop(self, keys: Sequence[str], reason: str) -> Iterator[tuple[str, Ending, str | None]]:
        """Each key, what became of it, and why it is left."""
        return self._each(keys, lambda key: self._dropped(key, reason))

    def restore(self, keys: Sequence[str]) -> Iterator[tuple[str, Ending, str | None]]:
        """Of those that were dropped, by the keys they had before."""
        return self._each(keys, self._restored)

    def _each(
        self, keys: Sequence[str], end: Callable[[str], tuple[Ending, str | None]]
    ) -> Iterator[tuple[str, Ending, str | None]]:
        rest = iter(keys)
        with ThreadPoolExecutor(READERS, thread_name_prefix="letters") as hands:
            while not self._wait(0) and (some := list(islice(rest, READERS))):
                yield from ((key, *ended) for key, ended in zip(some, hands.map(end, some), strict=True))
        yield from ((key, Ending.NOT_TRIED, None) for key in rest)

    def _dropped(self, key: str, reason: str) -> tuple[Ending, str | None]:
        found = self._letters.look(key)
        if found is None:
            return Ending.GONE, None
        if isinstance(found, NoLetter):
            # No redrive takes it, so there is nothing to claim.
            if found.etag is None:
                return Ending.LEFT, str(found)
            etag = found.etag
        else:
            # guarantee: a letter that is given again is not dropped meanwhile
            claimed = self._claims.take(found, attempts=found.letter.attempts)
            if claimed is None:
                return Ending.GONE, None
            if isinstance(claimed, str):
                return Ending.BUSY, claimed
            etag = claimed.etag
        try:
            moved = self._letters.drop(key, etag, reason, self._clock.now())
        except ClientError as error:
            return Ending.LEFT, f"{key}: {error}. fix: allow this identity to put and to delete dead letters"
        return (Ending.DROPPED, None) if moved else (Ending.BUSY, BUSY)

    def _restored(self, key: str) -> tuple[Ending, str | None]:
        try:
            there = self._letters.restore(key)
        except NoLetter as error:
            return Ending.LEFT, str(error)
        return (Ending.RESTORED if there else Ending.GONE), None
