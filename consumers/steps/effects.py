"""What this process has done and not stored yet: an effect is noted when its call returns, and not repeated here."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from consumers.processing import AllMustWait
from consumers.steps.answers import Attempts, Outcome, after_attempts, read_outcome
from consumers.steps.outcomes import Happening, IdempotencyStore, happening, remembered
from consumers.verdicts import loggable, without_words
from events import Event, EventEnvelope

# Events whose failed effects a process counts; of more, those that failed first are counted anew.
_MOST_COUNTED = 10_000


class OutcomesNotStored(AllMustWait):
    """An effect has happened and its outcome could not be stored. Until it is, no new effect begins."""


@dataclass(eq=False, slots=True)
class _Done:
    """An effect that happened: the event heard, and its outcome; why that was refused."""

    heard: EventEnvelope[Event]
    outcome: Outcome
    refusal: Exception | None = None


class Effects:
    """Those of one consumer in this process, on all its shards. Safe for all their threads; outlives their processors.

    It holds as many as were under way at once when the store began to refuse, and no more: none begins until then.
    """

    def __init__(self, outcomes: IdempotencyStore) -> None:
        self._outcomes = outcomes
        self._lock = threading.Lock()
        self._catching_up = threading.Lock()
        self._done: dict[Happening, _Done] = {}
        self._failed: dict[Happening, Attempts] = {}

    def catch_up(self) -> None:
        """Stores what could not be stored so far. Raises `OutcomesNotStored` while that does not work."""
        refused = self._refused()
        if not refused:
            return
        if not self._catching_up.acquire(blocking=False):
            raise self._waits(refused[0])
        try:
            for done in refused:
                self._store(done)
        finally:
            self._catching_up.release()

    def once(self, heard: EventEnvelope[Event], perform: Callable[[], Outcome]) -> Outcome:
        """The outcome that stands, of an effect that happens now unless it is noted here; `perform` answers its own.

        Raises `OutcomesNotStored` before the effect, or behind it; and whatever `perform` raises.
        """
        with self._lock:
            done = self._done.get(happening(heard))
        if done is None:
            # guarantee: no new effect begins while outcomes cannot be stored
            if refused := self._refused():
                raise self._waits(refused[0])
            done = _Done(heard, self._had(heard, perform))
            # guarantee: an effect is noted in the process before its outcome is stored
            with self._lock:
                self._done[happening(heard)] = done
        return self._store(done)

    def _had(self, heard: EventEnvelope[Event], perform: Callable[[], Outcome]) -> Outcome:
        """The effect, and how many attempts of this process it took."""
        failed = self._failed.get(happening(heard), Attempts(0))
        try:
            outcome = perform()
        except BaseException as error:
            self._count(happening(heard), Attempts(failed.count + 1, without_words(error)))
            raise
        with self._lock:
            self._failed.pop(happening(heard), None)
        if not failed.count:
            return outcome
        return after_attempts(outcome, heard.order_id, Attempts(failed.count + 1, failed.last_failure))

    def _count(self, heard: Happening, failed: Attempts) -> None:
        with self._lock:
            self._failed[heard] = failed
            if len(self._failed) > _MOST_COUNTED:
                del self._failed[next(iter(self._failed))]

    def _store(self, done: _Done) -> Outcome:
        try:
            # guarantee: an outcome is remembered before it is told
            stands = remembered(self._outcomes, done.heard, done.outcome.data)
        except Exception as error:
            done.refusal = error
            raise self._waits(done) from error
        with self._lock:
            self._done.pop(happening(done.heard), None)
        return done.outcome if stands == done.outcome.data else read_outcome(stands)

    def _refused(self) -> list[_Done]:
        with self._lock:
            return [done for done in self._done.values() if done.refusal is not None]

    def _waits(self, done: _Done) -> OutcomesNotStored:
        why = loggable(done.refusal) if done.refusal else "its store does not answer"
        waiting = OutcomesNotStored(
            f"the outcome of an effect cannot be stored: {why}. {len(self._refused())} wait, and no new effect begins. "
            "fix: let the consumer write to its outcomes table; nothing is repeated meanwhile"
        )
        waiting.__cause__ = done.refusal
        return waiting
