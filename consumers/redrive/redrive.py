"""Gives dead letters again to the consumer that failed on them, and to nobody else: ten canaries first, then the rest.

A letter is claimed before it is given, and removed after its effect: whatever breaks off in between leaves it there.
"""

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import Enum
from typing import Protocol

from consumers.dead_letters import Claim, DeadLetter, S3DeadLetters, StoredLetter
from consumers.diagnostics import LetterRedriven
from foundation.bucket import WriteRefused
from foundation.clock import Clock, Wait
from foundation.diagnostics import Emit
from foundation.ids import NewId

CANARIES = 10
# As many letters as are surely dealt with while their claims last.
_TOGETHER = 50
CLAIMED_FOR = timedelta(minutes=2)
_BUSY = f"another redrive has it, or had it when it was killed: free {CLAIMED_FOR.seconds} s after it was claimed"


class Fate(Enum):
    """What became of a letter. BUSY: another redrive has it; GONE: another was done with it."""

    DONE = "done"
    FAILED = "failed again"
    HELD_BACK = "held back"
    NOT_TRIED = "not tried"
    BUSY = "busy"
    GONE = "gone"


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
    """The way back into one consumer. A letter that is given twice has its effect once, within the consumer's bound."""

    def done_before(self, letters: Sequence[DeadLetter]) -> frozenset[str]:
        """The keys of those whose effect is remembered already. Changes nothing."""

    def give(self, letters: Sequence[DeadLetter]) -> Given:
        """Gives all of them, each partition key's in their order; what comes behind a failed one is left out."""


@dataclass(frozen=True)
class Redriven:
    """What became of one letter, and why; `letter` is as it is now."""

    letter: DeadLetter
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
    def ok(self) -> bool:
        """Whether none of them is left."""
        return self.counts.keys() <= {Fate.DONE, Fate.GONE}


class CanaryFailed(Exception):
    """Not all of the first letters went well, so the others were not tried."""


def in_order(letters: Sequence[StoredLetter]) -> list[StoredLetter]:
    """As they came onto the stream. A child shard's sequence numbers are above its parents' for the same key."""
    return sorted(letters, key=lambda stored: stored.letter.place.key)


class Redrive:
    """Redrives letters of one consumer. Safe to cut short anywhere, to repeat, and to run twice at once."""

    def __init__(
        self,
        letters: S3DeadLetters,
        consumer: GivesAgain,
        *,
        clock: Clock,
        wait: Wait,
        new_id: NewId,
        emit: Emit,
    ) -> None:
        self._letters = letters
        self._consumer = consumer
        self._clock = clock
        self._wait = wait
        self._name = new_id()
        self._emit = emit

    def run(self, stored: Sequence[StoredLetter]) -> Summary:
        waiting = deque(in_order(stored))
        fates: dict[str, Redriven] = {}
        at_once, stopped_by = CANARIES, None
        while waiting and stopped_by is None and not self._wait(0):
            claimed = self._claimed(waiting, at_once, fates)
            # guarantee: a dead letter is removed after its effect
            given = self._give([one.letter for one, _ in claimed])
            for one, before in claimed:
                self._settle(one, before, given, fates)
            stopped_by = given.stopped_by or self._canary_failed(given, at_once)
            at_once = _TOGETHER
        for one in waiting:
            fates[one.letter.key] = Redriven(one.letter, Fate.NOT_TRIED)
        return Summary(tuple(fates[one.letter.key] for one in in_order(stored)), stopped_by)

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
        self, waiting: deque[StoredLetter], at_most: int, fates: dict[str, Redriven]
    ) -> list[tuple[StoredLetter, DeadLetter]]:
        """The next letters, claimed, each with what it was before."""
        claimed: list[tuple[StoredLetter, DeadLetter]] = []
        while waiting and len(claimed) < at_most:
            stored = waiting.popleft()
            ours = self._claim(stored)
            if isinstance(ours, Fate):
                self._end(stored.letter, ours, fates, _BUSY if ours is Fate.BUSY else None)
            else:
                claimed.append((ours, stored.letter))
        return claimed

    def _claim(self, stored: StoredLetter) -> StoredLetter | Fate:
        """The attempt is counted before it is made: it may be the last thing that this process does."""
        letter, now = stored.letter, self._clock.now()
        if letter.claim is not None and letter.claim.until > now:
            return Fate.BUSY
        claim = Claim(self._name, now + CLAIMED_FOR)
        claimed = replace(letter, attempts=letter.attempts + 1, claim=claim)
        try:
            # guarantee: a dead letter is claimed before it is given again
            return self._letters.replace(stored, claimed)
        except WriteRefused:
            found = self._letters.read(letter.key)
            if found is None:
                return Fate.GONE
            # It may be our own write, sent twice by a retry.
            return found if found.letter == claimed else Fate.BUSY

    def _settle(self, claimed: StoredLetter, before: DeadLetter, given: Given, fates: dict[str, Redriven]) -> None:
        key = claimed.letter.key
        if key in given.done:
            self._letters.remove(key)
            self._end(before, Fate.DONE, fates)
        elif key in given.failed:
            failed = replace(given.failed[key], attempts=claimed.letter.attempts, claim=None)
            self._put_back(claimed, failed)
            self._end(failed, Fate.FAILED, fates)
        else:
            self._put_back(claimed, before)
            why = given.held_back.get(key)
            self._end(before, Fate.HELD_BACK if why else Fate.NOT_TRIED, fates, why)

    def _put_back(self, claimed: StoredLetter, letter: DeadLetter) -> None:
        try:
            self._letters.replace(claimed, letter)
        except WriteRefused:
            # Our claim has run out and somebody else has the letter, or our own write was sent twice: as it should be.
            return

    def _end(self, letter: DeadLetter, fate: Fate, fates: dict[str, Redriven], why: str | None = None) -> None:
        fates[letter.key] = Redriven(letter, fate, why)
        self._emit(LetterRedriven(letter.consumer, letter.shard_id, str(letter.place), fate.value))
