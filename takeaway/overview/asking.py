"""A question that is asked again and again, and whose silence hides nothing else."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from foundation.clock import Clock
from foundation.dynamodb import LeftUnread
from takeaway.overview.facts import Unknown
from takeaway.stack import Asked, Unanswered, reason

AnswerT = TypeVar("AnswerT")

_SHARE = 5


@dataclass
class Question(Generic[AnswerT]):
    """Asked at most every `every` seconds, and never twice at once; in between it answers what it last did.

    A slow service is asked less often, so that four fifths of its time are others'. An answer that comes behind its
    limit is told at the next look.
    """

    ask: Callable[[], AnswerT]
    within: float
    clock: Clock
    every: float = 0.0
    _asked: Asked[AnswerT] | None = None
    _asked_at: float = float("-inf")
    _took: float = 0.0
    _timed_out: bool = False
    _answer: AnswerT | Unknown | None = None

    def begin(self) -> None:
        if self._timed_out and self._asked is not None and self._asked.is_over:
            self._timed_out, self._answer = False, self._told(self._asked)
            return
        now = self.clock.monotonic()
        due = now - self._asked_at >= max(self.every, _SHARE * self._took)
        if due and (self._asked is None or self._asked.is_over):
            self._asked, self._answer, self._asked_at = Asked(self.ask, self.within, self.clock), None, now

    def answer(self) -> AnswerT | Unknown:
        """Waits for it at most until its limit."""
        if self._answer is None and self._asked is not None:
            self._answer = self._told(self._asked)
            self._took = self.clock.monotonic() - self._asked_at
            self._timed_out = not self._asked.is_over
        return self._answer if self._answer is not None else Unknown("it was not asked yet")

    def _told(self, asked: Asked[AnswerT]) -> AnswerT | Unknown:
        try:
            told = asked.answer()
        except LeftUnread as error:
            return Unknown(reason(error))
        return Unknown(told.reason) if isinstance(told, Unanswered) else told
