"""Gives dead letters again to a consumer through the very processor that its engines feed."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from consumers.dead_letters import DeadLetter
from consumers.diagnostics import ShardWaits
from consumers.engines.feeding import Feeder
from consumers.processing import ProcessorFactory, ShardAssignment, ShardStop
from consumers.redrive.redrive import Given
from consumers.steps import IdempotencyStore, happening, recalled
from events import Event, EventEnvelope, UnreadableEvent, decode, partition_key
from foundation.clock import Wait
from foundation.diagnostics import Diagnostic, Emit
from foundation.kinesis import Batch, Position, Sentinel, position_key

# A world that is broken for longer is told to the person who waits; the letters stay.
_PATIENCE_SECONDS = 15.0
_HELD_BACK = "an earlier letter of its partition key failed"


class SetAsideAgain:
    """`DeadLetters` of a redrive: kept at hand, for the letters in the bucket are the redrive's to write."""

    def __init__(self) -> None:
        self.letters: dict[str, DeadLetter] = {}

    def put(self, letter: DeadLetter) -> None:
        self.letters[letter.key] = letter


class NothingRemembered:
    """The outcomes of an observer: it has none, and what it notes twice is noted once."""

    def recall(self, _: Sequence[str]) -> dict[str, bytes]:
        return {}

    def remember(self, _: str, outcome: bytes) -> bytes:
        return outcome


class ThroughProcessor:
    """`GivesAgain` for a consumer that performs a step: its remembered outcomes keep an effect from being repeated.

    So for an observer that fills no lake. `factory` makes its processors, which set apart into `again`.
    """

    # A service that takes one mail a second is done with them while their claims last.
    together = 50

    def __init__(
        self,
        factory: ProcessorFactory,
        again: SetAsideAgain,
        outcomes: IdempotencyStore,
        *,
        wait: Wait,
        emit: Emit,
    ) -> None:
        self._factory = factory
        self._again = again
        self._outcomes = outcomes
        self._wait = wait
        self._emit = emit
        self._failed_keys: set[str] = set()

    def done_before(self, letters: Sequence[DeadLetter]) -> frozenset[str]:
        events = {letter.key: event for letter in letters if (event := _event(letter)) is not None}
        known = recalled(self._outcomes, events.values())
        return frozenset(key for key, event in events.items() if happening(event) in known)

    def begin(self) -> None:
        # guarantee: a letter is held back by what failed in the same redrive alone
        self._failed_keys.clear()

    def give(self, letters: Sequence[DeadLetter]) -> Given:
        done: set[str] = set()
        failed: dict[str, DeadLetter] = {}
        held_back: dict[str, str] = {}
        for wave in waves(letters):
            # guarantee: an order's letters are redriven one after the other
            held_back |= {letter.key: _HELD_BACK for letter in wave if _order(letter) in self._failed_keys}
            trying = sorted((letter for letter in wave if letter.key not in held_back), key=_by_shard)
            for (stream, shard_id), some in groupby(trying, key=lambda letter: (letter.stream, letter.shard_id)):
                given = self._feed(stream, shard_id, list(some))
                done |= given.done
                failed |= given.failed
                self._failed_keys |= {_order(letter) for letter in given.failed.values()}
                if given.stopped_by is not None:
                    return Given(frozenset(done), failed, held_back, given.stopped_by)
        return Given(frozenset(done), failed, held_back)

    def _feed(self, stream: str, shard_id: str, letters: Sequence[DeadLetter]) -> Given:
        """As an engine does, for as long as there is patience."""
        reached: Position = Sentinel.TRIM_HORIZON
        trouble: Exception | None = None
        waited = 0.0

        def note(position: Position) -> bool:
            nonlocal reached
            reached = position
            return True

        def patience(seconds: float) -> bool:
            nonlocal waited
            waited += seconds
            return waited > _PATIENCE_SECONDS or self._wait(seconds)

        def hear(diagnostic: Diagnostic) -> None:
            nonlocal trouble
            if isinstance(diagnostic, ShardWaits):
                trouble = diagnostic.error or trouble
            self._emit(diagnostic)

        self._again.letters.clear()
        assignment = ShardAssignment(stream, shard_id, Sentinel.TRIM_HORIZON)
        records = tuple(letter.record for letter in letters)
        stopped_by: Exception | None = None
        try:
            feeder = Feeder(self._factory(assignment), assignment, checkpoint=note, wait=patience, emit=hear)
            if not (feeder.feed(Batch(stream, shard_id, Sentinel.TRIM_HORIZON, records, 0)) and feeder.finish()):
                stopped_by = trouble or TimeoutError("it was cut short")
        except ShardStop as stop:
            stopped_by = stop
        # A letter that fails in another way may lie under another key from then on.
        keys = {letter.place: letter.key for letter in letters}
        failed = {keys[letter.place]: letter for letter in self._again.letters.values()}
        past = {letter.key for letter in letters if position_key(letter.place) <= position_key(reached)}
        return Given(frozenset(past - failed.keys()), failed, stopped_by=stopped_by)


def waves(letters: Sequence[DeadLetter]) -> Iterator[list[DeadLetter]]:
    """One letter of each partition key at a time, in their order: what a wave has done, the next one can go by."""
    rest = list(letters)
    while rest:
        first: dict[str, DeadLetter] = {}
        behind = [letter for letter in rest if first.setdefault(_order(letter), letter) is not letter]
        yield list(first.values())
        rest = behind


def _order(letter: DeadLetter) -> str:
    """What a letter is in order with: its partition key; without one its event's order; without any itself alone."""
    if letter.partition_key is not None:
        return letter.partition_key
    event = _event(letter)
    # guarantee: letters without a partition key are redriven in their order's order
    return letter.key if event is None else partition_key(event)


def _by_shard(letter: DeadLetter) -> tuple[str, str, tuple[int, int]]:
    return letter.stream, letter.shard_id, letter.place.key


def _event(letter: DeadLetter) -> EventEnvelope[Event] | None:
    try:
        return decode(letter.payload)
    except UnreadableEvent:
        return None
