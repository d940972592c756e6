"""Gives dead letters again to the consumer that failed on them, and to nobody else: ten canaries first, then the rest.

A letter is claimed before it is given, and removed after its effect: whatever breaks off in between leaves it there.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Protocol

from botocore.exceptions import BotoCoreError, ClientError

from consumers.dead_letters import (
    BUSY,
    READERS,
    Claims,
    DeadLetter,
    NoLetter,
    S3DeadLetters,
    StoredLetter,
    address_of,
)
from consumers.diagnostics import LetterRedriven
from foundation.bucket import WriteRefused
from foundation.clock import Clock, Wait
from foundation.diagnostics import Emit
from foundation.ids import NewId

CANARIES = 10
# Payloads that are in memory together, in bytes; there is always one letter.
_MOST_BYTES = 32 * 1024 * 1024


class Fate(Enum):
    """What became of a letter. BUSY: another command has it; GONE: another was done with it; UNREADABLE: it is none."""

    DONE = "done"
    FAILED = "failed again"
    HELD_BACK = "held back"
    NOT_TRIED = "not tried"
    BUSY = "busy"
    GONE = "gone"
    UNREADABLE = "unreadable"


@dataclass(frozen=True)
class Given:
    """What became of letters that were given to their consumer, by their keys.

    `failed` has the letters that it wrote anew, `held_back` why one cannot be tried yet. Those in none of them were not
    tried: `stopped_by` is why, and speaks against trying any other.
    """

    done: frozenset[str] = frozenset()
    failed: Mapping[str, DeadLetter] = field(default_factory=dict)
    held_back: Mapping[str, str] = field(default_factory=dict)
    stopped_by: Exception | None = None


class GivesAgain(Protocol):
    """The way back into one consumer. A letter that is given twice has its effect once, within the consumer's bound.

    `together` is how many letters it surely deals with while their claims last.
    """

    @property
    def together(self) -> int: ...

    def done_before(self, letters: Sequence[DeadLetter]) -> frozenset[str]:
        """The keys of those whose effect is remembered already. Changes nothing."""

    def begin(self) -> None:
        """A redrive begins: what failed in one before it is no reason against anything."""

    def give(self, letters: Sequence[DeadLetter]) -> Given:
        """Gives all of them, each partition key's in their order; what comes behind a failed one is left out."""


@dataclass(frozen=True)
class Redriven:
    """What became of the letter under this key, and why: in words that may quote it, if it failed again."""

    key: str
    fate: Fate
    why: str | None = None


@dataclass(frozen=True)
class Summary:
    """All that a redrive was asked for. `stopped_by` is why it ended before its time."""

    letters: tuple[Redriven, ...]
    stopped_by: Exception | None = None

    @property
    def counts(self) -> Mapping[Fate, int]:
        counted = Counter(one.fate for one in self.letters)
        return {fate: counted[fate] for fate in Fate if counted[fate]}

    @property
    def unreadable(self) -> frozenset[str]:
        """The keys of those that are no letters."""
        return frozenset(one.key for one in self.letters if one.fate is Fate.UNREADABLE)

    @property
    def ok(self) -> bool:
        """Whether none of them is left."""
        return self.counts.keys() <= {Fate.DONE, Fate.GONE}


class CanaryFailed(Exception):
    """Not all of the first letters went well, so the others were not tried."""


@dataclass(frozen=True)
class _Claimed:
    """A letter that is ours, and what it was before."""

    stored: StoredLetter
    before: DeadLetter

    @property
    def key(self) -> str:
        return self.before.key


def in_order(keys: Iterable[str]) -> list[str]:
    """As they came onto the stream. A child shard's sequence numbers are above its parents' for the same key."""
    return sorted(keys, key=lambda key: address.place.key if (address := address_of(key)) else (0, 0))


class Redrive:
    """Redrives letters of one consumer. Safe to cut short anywhere, to repeat, and to run twice at once.

    Those that are given together are in memory, and no others. `hands` is how many are read and written at once.
    """

    def __init__(
        self,
        letters: S3DeadLetters,
        consumer: GivesAgain,
        *,
        clock: Clock,
        wait: Wait,
        new_id: NewId,
        emit: Emit,
        hands: int = READERS,
    ) -> None:
        self._letters = letters
        self._consumer = consumer
        self._wait = wait
        self._claims = Claims(letters, clock, new_id())
        self._emit = emit
        self._hands = hands

    def run(self, keys: Iterable[str], progress: Callable[[int], None] = lambda _: None) -> Summary:
        """`progress` is told how many more letters have met their fate."""
        ordered = in_order(keys)
        waiting = deque(ordered)
        fates: dict[str, Redriven] = {}
        at_once, stopped_by = CANARIES, None
        self._consumer.begin()
        with ThreadPoolExecutor(self._hands, thread_name_prefix="letters") as hands:
            while waiting and stopped_by is None and not self._wait(0):
                told = len(fates)
                claimed, trouble = self._claimed(waiting, at_once, fates, hands)
                # guarantee: a dead letter is removed after its effect
                given = Given(stopped_by=trouble) if trouble else self._give([one.before for one in claimed])
                for fate in hands.map(lambda one, given=given: self._settled(one, given), claimed):
                    self._end(fate, fates)
                stopped_by = given.stopped_by or self._canary_failed(given, at_once)
                at_once = self._consumer.together
                progress(len(fates) - told)
        fates |= {key: Redriven(key, Fate.NOT_TRIED) for key in waiting}
        return Summary(tuple(fates[key] for key in ordered), stopped_by)

    def _give(self, letters: Sequence[DeadLetter]) -> Given:
        try:
            return self._consumer.give(letters)
        except Exception as error:  # noqa: BLE001 - told in the summary; every letter is put back
            return Given(stopped_by=error)

    def _canary_failed(self, given: Given, at_once: int) -> Exception | None:
        # guarantee: no letter is redriven after a canary that failed
        if at_once == CANARIES and (given.failed or given.held_back):
            return CanaryFailed(
                f"{len(given.failed)} of the first letters failed again, {len(given.held_back)} were held back: no "
                "other was tried. fix: deploy what can process them, then redrive again"
            )
        return None

    def _claimed(
        self, waiting: deque[str], at_most: int, fates: dict[str, Redriven], hands: ThreadPoolExecutor
    ) -> tuple[list[_Claimed], Exception | None]:
        """The next letters, claimed; and what S3 says against claiming more."""
        claimed: list[_Claimed] = []
        while waiting and len(claimed) < at_most and sum(len(one.before.payload) for one in claimed) < _MOST_BYTES:
            some = [waiting.popleft() for _ in range(min(self._hands, at_most - len(claimed), len(waiting)))]
            trouble: Exception | None = None
            for key, found in zip(some, hands.map(self._claim, some), strict=True):
                if isinstance(found, _Claimed):
                    claimed.append(found)
                elif isinstance(found, Redriven):
                    self._end(found, fates)
                else:
                    trouble = found
                    fates[key] = Redriven(key, Fate.NOT_TRIED)
            if trouble is not None:
                return claimed, trouble
        return claimed, None

    def _claim(self, key: str) -> _Claimed | Redriven | Exception:
        """The attempt is counted before it is made: it may be the last thing that this process does."""
        try:
            found = self._letters.look(key)
            if isinstance(found, NoLetter):
                return Redriven(key, Fate.UNREADABLE, str(found))
            ours = self._claims.take(found, attempts=found.letter.attempts + 1) if found else None
        except (BotoCoreError, ClientError) as error:
            return error
        if found is None or ours is None:
            return Redriven(key, Fate.GONE)
        return Redriven(key, Fate.BUSY, BUSY) if isinstance(ours, str) else _Claimed(ours, found.letter)

    def _settled(self, claimed: _Claimed, given: Given) -> Redriven:
        key, stored = claimed.key, claimed.stored
        if key in given.done:
            self._letters.remove(key)
            return Redriven(key, Fate.DONE)
        if key in given.failed:
            failed = replace(given.failed[key], attempts=stored.letter.attempts, claim=None)
            if failed.key == key:
                self._put_back(stored, failed)
            else:
                # No longer newer than the release, and bad all the same.
                # guarantee: a letter that changes its place is written before the other is removed
                self._letters.put(failed)
                self._letters.remove(key)
            return Redriven(key, Fate.FAILED, failed.error)
        self._put_back(stored, claimed.before)
        why = given.held_back.get(key)
        return Redriven(key, Fate.HELD_BACK if why else Fate.NOT_TRIED, why)

    def _put_back(self, claimed: StoredLetter, letter: DeadLetter) -> None:
        try:
            self._letters.replace(claimed, letter)
        except WriteRefused:
            # Our claim has run out and somebody else has the letter, or our own write was sent twice: as it should be.
            return

    def _end(self, one: Redriven, fates: dict[str, Redriven]) -> None:
        fates[one.key] = one
        if address := address_of(one.key):
            self._emit(LetterRedriven(address.consumer, address.shard_id, str(address.place), one.fate.value))
