"""The records of one partition key, handled one after the other: attempts, and the broken one found by halving."""

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Generic

from consumers.batching.handler import Handled, HeardT, Promise, RecordHandler
from consumers.batching.rules import BatchRules
from consumers.blame import Fault, fault_of
from consumers.dead_letters import MAX_IN_A_ROW
from consumers.processing import ShardStop
from foundation.kinesis import Record


class State(Enum):
    """HEARD is to be handled, again if need be; HANDLED waits for its promise; BROKEN waits to be set apart."""

    NEW = auto()
    HEARD = auto()
    HANDLED = auto()
    BROKEN = auto()
    DONE = auto()


@dataclass(eq=False, slots=True)
class Waiting(Generic[HeardT]):
    """A record that is not done yet, how often it was tried, and why it failed the last time.

    `key` is what it is in order with: its partition key, or its order when it came without one.
    """

    record: Record
    key: str | None = None
    state: State = State.NEW
    heard: HeardT | None = None
    promise: Promise = None
    attempts: int = 0
    error: Exception | None = None

    def failed(self, error: Exception, rules: BatchRules) -> None:
        """To be handled again, unless that was its last attempt. Only its own and its handler's errors are attempts."""
        self.state, self.error = State.HEARD, error
        fault = fault_of(error)
        # guarantee: a broken world makes no record a dead letter
        if fault in {Fault.RECORD, Fault.HANDLER}:
            self.attempts += 1
            if fault is Fault.RECORD or self.attempts >= rules.max_attempts:
                self.state = State.BROKEN


class HandlerExited(Exception):
    """A handler, or a library it calls, asked the process to exit: an error of its own like any other."""


class Attempt(Generic[HeardT]):
    """One attempt at a batch, shared by the threads that make it: the keys not begun, and whether to go on at all.

    It ends early when the world is broken, when the deployment is, or when it looks so: `stopped_by` is why. What is
    not handled by then keeps its state.
    """

    def __init__(
        self, chains: Iterable[Sequence[Waiting[HeardT]]], handler: RecordHandler[HeardT], rules: BatchRules
    ) -> None:
        self.stopped_by: Exception | None = None
        self._chains = iter(chains)
        self._handler = handler
        self._rules = rules
        self._lock = threading.Lock()
        self._failed_in_a_row = 0

    def run(self) -> None:
        """In each thread: one key after the other, as long as there are any."""
        while (chain := self._next()) is not None:
            self._handle_in_order(chain)

    def _next(self) -> Sequence[Waiting[HeardT]] | None:
        with self._lock:
            return None if self.stopped_by else next(self._chains, None)

    def _handle_in_order(self, chain: Sequence[Waiting[HeardT]]) -> None:
        left = [chain]
        while left and self.stopped_by is None:
            given = left.pop(0)
            handled, is_named = self._called(given)
            for waiting, promise in zip(given, handled.promises, strict=False):
                waiting.state, waiting.promise = State.HANDLED, promise
            if handled.promises:
                self._worked()
            rest = given[len(handled.promises) :]
            if handled.error is None or not rest:
                continue
            blamed = rest[:1] if is_named else rest
            for waiting in blamed:
                waiting.failed(handled.error, self._rules)
            if blamed[0].state is not State.BROKEN:
                self._failed(handled.error)
                return
            # guarantee: a poison record alone is set apart
            if len(blamed) > 1 and self._rules.bisect_batch_on_error:
                for waiting in blamed:
                    waiting.state = State.HEARD
                left[:0] = [rest[: len(rest) // 2], rest[len(rest) // 2 :]]
                continue
            self._failed(handled.error)
            if len(rest) > len(blamed):
                left.insert(0, rest[len(blamed) :])

    def _called(self, given: Sequence[Waiting[HeardT]]) -> tuple[Handled, bool]:
        """The handler's answer, and whether it named the record that failed."""
        heard = [waiting.heard for waiting in given if waiting.heard is not None]
        try:
            answer = self._handler.handle(heard)
        except Exception as error:  # noqa: BLE001 - whatever it is, its fault decides what follows
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

    def _worked(self) -> None:
        with self._lock:
            self._failed_in_a_row = 0

    def _failed(self, error: Exception) -> None:
        """A broken world is not asked on; and ten failures in a row look like a bad deployment."""
        with self._lock:
            self._failed_in_a_row += 1
            is_general = fault_of(error) in {Fault.WORLD, Fault.DEPLOYMENT}
            if self.stopped_by is None and (is_general or self._failed_in_a_row >= MAX_IN_A_ROW):
                self.stopped_by = error
