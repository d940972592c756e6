"""Rounds over the parts of a sparse index, again and again: what is found is acted on, and what fails waits alone."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from foundation.backoff import pause_after
from foundation.clock import Clock, Wait

# Of each part, so that a round ends: the rest is there at the next one.
MOST_OF_A_PART = 32
# So many that fail one behind the other are taken for the fault of a service, and not for theirs.
FAILURES_A_ROUND = 3

_ROUND_EVERY = (1.0, 2.0)
_FIRST_PAUSE = 2.0
# For what has not failed, and only has to wait for others.
_LONGEST_WAIT = 5.0


class Outcome(Enum):
    """What came of acting on one. LATER: it is not time yet, which is no failure."""

    DONE = auto()
    LATER = auto()
    FAILED = auto()


@dataclass(frozen=True)
class _PutOff:
    """How often one came to nothing in a row, and until when it is left alone, on the monotonic clock."""

    times: int
    until: float


class Rounds:
    """`find(part, limit)` answers with keys of one of `parts`, the longest due first; `act` with what came of one.

    `act` raises nothing. What `find` raises is told to `stands`, and ends the round.
    """

    def __init__(
        self,
        parts: Sequence[int],
        find: Callable[[int, int], Sequence[str]],
        act: Callable[[str], Outcome],
        stands: Callable[[Exception], None],
        *,
        clock: Clock,
        wait: Wait,
        jitter: random.Random,
    ) -> None:
        self._parts = parts
        self._find = find
        self._act = act
        self._stands = stands
        self._clock = clock
        self._wait = wait
        self._jitter = jitter
        self._put_off: dict[str, _PutOff] = {}

    def run(self) -> None:
        """Until `wait` says that the process stops."""
        failures = 0
        while not self._wait(self._pause(failures)):
            failures = 0 if self.round() else failures + 1

    def round(self) -> bool:
        """Every part once; False when that was given up for want of a service."""
        try:
            return self._round()
        except Exception as error:  # noqa: BLE001 - told, and tried again: rounds that ended are missed only when needed
            self._stands(error)
            return False

    def _pause(self, failures: int) -> float:
        """Processes that were started together, or failed together, do not go round together for long."""
        if failures:
            return pause_after(failures, first=_FIRST_PAUSE) * self._jitter.uniform(0.5, 1.0)
        return self._jitter.uniform(*_ROUND_EVERY)

    def _round(self) -> bool:
        seen: set[str] = set()
        failed_in_a_row = 0
        # Each process in an order of its own: two that go round at once find others first.
        for part in self._jitter.sample(self._parts, len(self._parts)):
            # guarantee: what is put off takes no other's place in a round
            found = self._find(part, MOST_OF_A_PART + len(self._put_off))
            seen.update(found)
            # The longest due first, behind them those that failed before: many of these would end each round.
            due = sorted((key for key in found if not self._is_put_off(key)), key=self._times)
            for key in due[:MOST_OF_A_PART]:
                if self._wait(0):
                    return True
                outcome = self._acted_on(key)
                failed_in_a_row = failed_in_a_row + 1 if outcome is Outcome.FAILED else 0
                if failed_in_a_row == FAILURES_A_ROUND:
                    return False
        self._put_off = {key: until for key, until in self._put_off.items() if key in seen}
        return True

    def _times(self, key: str) -> int:
        return self._put_off[key].times if key in self._put_off else 0

    def _is_put_off(self, key: str) -> bool:
        return key in self._put_off and self._clock.monotonic() < self._put_off[key].until

    def _acted_on(self, key: str) -> Outcome:
        """One that comes to nothing again and again keeps none of the others waiting."""
        outcome = self._act(key)
        if outcome is Outcome.DONE:
            self._put_off.pop(key, None)
            return outcome
        times = self._times(key) + 1
        pause = pause_after(times, first=_FIRST_PAUSE)
        until = self._clock.monotonic() + (min(pause, _LONGEST_WAIT) if outcome is Outcome.LATER else pause)
        # guarantee: what comes to nothing is put off alone
        self._put_off[key] = _PutOff(times, until)
        return outcome
