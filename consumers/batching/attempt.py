"""The records of one partition key, handled one after the other; the broken one among them is found by halving."""

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Generic

from consumers.batching.handler import Handled, HeardT, Promise, RecordHandler
from consumers.batching.rules import BatchRules
from consumers.batching.trial import Experience, Trial
from consumers.processing import AllMustWait, ShardStop
from consumers.verdicts import Suspected, Verdict, loggable, verdict_of
from foundation.kinesis import Record

# So many keys that fail in a row, with none between that works, end an attempt: it may be the world, or all our code.
MOST_IN_A_ROW = 10


class State(Enum):
    """HEARD is to be handled, again if need be; HANDLED waits for its promise; BROKEN waits to be set apart."""

    NEW = auto()
    HEARD = auto()
    HANDLED = auto()
    BROKEN = auto()
    DONE = auto()


@dataclass(eq=False, slots=True)
class Waiting(Generic[HeardT]):
    """A record that is not done yet, how it fared, and why it failed the last time.

    `key` is what it is in order with: its partition key, or its order when it came without one. It is not tried before
    `retry_at`, a moment of the monotonic clock; `failed_in` is the last round in which it failed.
    """

    record: Record
    key: str | None
    trial: Trial = field(default_factory=Trial)
    state: State = State.NEW
    heard: HeardT | None = None
    promise: Promise = None
    error: Exception | None = None
    retry_at: float = 0.0
    failed_in: int = 0

    @property
    def is_open(self) -> bool:
        """Whether it is still to be heard or handled."""
        return self.state in {State.NEW, State.HEARD}

    def failed(self, error: Exception, rules: BatchRules, *, worked_before: int, worked: int) -> None:
        """To be tried again, or else broken."""
        self.trial = self.trial.failed(error, worked_before=worked_before, worked=worked)
        self.error = error
        if not self.trial.is_over(rules):
            self.state = State.NEW if self.heard is None else State.HEARD
            return
        self.state = State.BROKEN
        if self.trial.is_suspected(rules):
            told = (
                f"{loggable(error)}. The same call failed {self.trial.failures} times for this record, and meanwhile "
                f"worked {self.trial.others_worked} times for others: so it may be about this one"
            )
            self.error = Suspected(told).with_traceback(error.__traceback__)
            self.error.__cause__ = error


class HandlerExited(Exception):
    """A handler, or a library it calls, asked the process to exit: an error of its own like any other."""


class Attempt(Generic[HeardT]):
    """One attempt at a batch, shared by the threads that make it: the keys not begun, and whether to go on at all.

    `stopped_by` speaks against trying any other record. `is_down` after ten keys that failed in a row: no more are
    tried now. What is not handled by then keeps its state. `failed` are the records that did, `worked` tells whether
    any did not.
    """

    def __init__(
        self,
        chains: Iterable[Sequence[Waiting[HeardT]]],
        handler: RecordHandler[HeardT],
        rules: BatchRules,
        experience: Experience,
    ) -> None:
        self.stopped_by: Exception | None = None
        self.is_down = False
        self.worked = False
        self.failed: list[Waiting[HeardT]] = []
        self._chains = iter(chains)
        self._handler = handler
        self._rules = rules
        self._experience = experience
        self._worked_before = experience.worked
        self._lock = threading.Lock()
        self._failed_in_a_row = 0

    def run(self) -> None:
        """In each thread: one key after the other, as long as there are any."""
        while (chain := self._next()) is not None:
            self._handle_in_order(chain)

    def fails(self, waiting: Waiting[HeardT], error: Exception) -> None:
        waiting.failed(error, self._rules, worked_before=self._worked_before, worked=self._experience.worked)
        with self._lock:
            self.failed.append(waiting)

    @property
    def _is_over(self) -> bool:
        return self.is_down or self.stopped_by is not None

    def _next(self) -> Sequence[Waiting[HeardT]] | None:
        with self._lock:
            return None if self._is_over else next(self._chains, None)

    def _handle_in_order(self, chain: Sequence[Waiting[HeardT]]) -> None:
        left = [chain]
        while left and not self._is_over:
            given = left.pop(0)
            handled, is_named = self._called(given)
            for waiting, promise in zip(given, handled.promises, strict=False):
                waiting.state, waiting.promise = State.HANDLED, promise
            if handled.promises:
                self._works()
            rest = given[len(handled.promises) :]
            if handled.error is None or not rest:
                continue
            if self._stops(handled.error):
                return
            blamed = 1 if is_named else len(rest)
            for waiting in rest[:blamed]:
                self.fails(waiting, handled.error)
            tried_out = blamed > 1 and rest[0].trial.ours >= self._rules.max_attempts
            if rest[0].state is not State.BROKEN and not tried_out:
                self._fails_in_a_row()
                return
            left[:0] = self._parts(rest, blamed)

    def _parts(self, rest: Sequence[Waiting[HeardT]], broken: int) -> list[Sequence[Waiting[HeardT]]]:
        """What is tried next when one of so many seems to be broken: halves of them, or what is behind the one."""
        # guarantee: a poison record alone is set apart
        if broken > 1 and self._rules.bisect_batch_on_error:
            for waiting in rest:
                waiting.state = State.HEARD
            return [rest[: broken // 2], rest[broken // 2 :]]
        return [rest[broken:]] if len(rest) > broken else []

    def _called(self, given: Sequence[Waiting[HeardT]]) -> tuple[Handled, bool]:
        """The handler's answer, and whether it named the record that failed."""
        heard = [waiting.heard for waiting in given if waiting.heard is not None]
        try:
            answer = self._handler.handle(heard)
        except Exception as error:  # noqa: BLE001 - whatever it is, the verdict on it decides what follows
            return Handled((), error), False
        except SystemExit as exited:
            refused = HandlerExited(f"the handler asked the process to exit: {exited}")
            return Handled((), refused.with_traceback(exited.__traceback__)), False
        return self._checked(answer, len(given)), True

    def _checked(self, answer: object, given: int) -> Handled:
        if answer is None:
            return Handled((None,) * given)
        if not isinstance(answer, Handled):
            return Handled((), ShardStop(f"a handler answered {type(answer).__name__}. fix: return Handled, or None"))
        missing = given - len(answer.promises)
        if missing < 0 or (missing == 0) != (answer.error is None):
            return Handled(
                (),
                ShardStop(
                    f"a handler answered {len(answer.promises)} promises for {given} records, "
                    f"{'with' if answer.error else 'without'} an error. "
                    "fix: return one promise for each record that was handled, and an error if those are not all"
                ),
            )
        return answer

    def _works(self) -> None:
        self._experience.works()
        with self._lock:
            self.worked = True
            self._failed_in_a_row = 0

    def _stops(self, error: Exception) -> bool:
        """Whether it speaks against every other record as well."""
        if verdict_of(error) is not Verdict.STOP and not isinstance(error, AllMustWait):
            return False
        with self._lock:
            if self.stopped_by is None or isinstance(error, ShardStop):
                self.stopped_by = error
        return True

    def _fails_in_a_row(self) -> None:
        # guarantee: the world, or a bad deployment, is asked for ten keys in a row at most
        with self._lock:
            self._failed_in_a_row += 1
            self.is_down = self.is_down or self._failed_in_a_row >= MOST_IN_A_ROW
