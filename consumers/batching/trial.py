"""How a record that fails has fared beside the others, as a value; and what a process remembers of that."""

import threading
from dataclasses import dataclass, replace

from consumers.batching.rules import BatchRules
from consumers.verdicts import Verdict, may_be_of_content, verdict_of

# Records whose trials a process remembers: more than wait on any number of shards that it reads.
_MOST_REMEMBERED = 100_000

Place = tuple[str, str, str, int]
"""Stream, shard, sequence number and sub-sequence number."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A record's failures so far, all of them in a row; `ours` are those of our own code.

    `comparisons` are a dependency's that could be about the record, and before which the step had worked for another
    key since the failure before. `worked_before` and `worked` count how often the step had worked in this process when
    the first failing attempt began, and at the last failure.
    """

    failures: int = 0
    ours: int = 0
    comparisons: int = 0
    worked_before: int = 0
    worked: int = 0
    verdict: Verdict | None = None
    of_content: bool = False

    def failed(self, error: Exception, *, worked_before: int, worked: int) -> "Trial":
        """After one failure more."""
        verdict, of_content = verdict_of(error), may_be_of_content(error)
        # guarantee: a record is suspected only when the call works for others
        is_comparison = of_content and self.failures > 0 and worked > self.worked
        return replace(
            self,
            failures=self.failures + 1,
            ours=self.ours + (verdict is Verdict.OURS),
            comparisons=self.comparisons + is_comparison,
            worked_before=self.worked_before if self.failures else worked_before,
            worked=worked,
            verdict=verdict,
            of_content=of_content,
        )

    def begun_anew(self) -> "Trial":
        """After all failed alike, and one worked: it has all its attempts again, and that one to be compared with."""
        return Trial(failures=1, worked_before=self.worked, worked=self.worked)

    @property
    def others_worked(self) -> int:
        """How often the step worked for others since this record began to fail."""
        return self.worked - self.worked_before

    def is_over(self, rules: BatchRules) -> bool:
        """Whether the record is to be set apart, after this failure."""
        if self.verdict is Verdict.OURS:
            # guarantee: our own failures set nothing apart while no record works
            return self.ours >= rules.max_attempts and (self.others_worked > 0 or not rules.compares)
        return self.verdict is Verdict.RECORD or self.is_suspected(rules)

    def is_suspected(self, rules: BatchRules) -> bool:
        return self.of_content and self.comparisons >= rules.suspected_after


class Experience:
    """What a consumer's process has seen of its step: how often it worked, and how each record fared that failed.

    For all shards; it outlives their processors, so that one that is made anew goes on from there.
    """

    def __init__(self) -> None:
        self.worked = 0
        self._most = _MOST_REMEMBERED
        self._lock = threading.Lock()
        self._trials: dict[Place, Trial] = {}

    def works(self) -> None:
        """The step worked for another key."""
        with self._lock:
            self.worked += 1

    def of(self, place: Place) -> Trial:
        return self._trials.get(place, Trial())

    def note(self, place: Place, trial: Trial) -> None:
        with self._lock:
            self._trials[place] = trial
            if len(self._trials) > self._most:
                del self._trials[next(iter(self._trials))]

    def forget(self, place: Place) -> None:
        """The record is done, or begins anew."""
        with self._lock:
            self._trials.pop(place, None)
