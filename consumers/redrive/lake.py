"""Gives the archiver's dead letters again: those that can be read by now become rows of the lake, each once."""

from collections.abc import Sequence

from analytics.maintenance import LateRecord, LateRows, NotYetPassed
from consumers.dead_letters import DeadLetter, dead_letter
from consumers.redrive.redrive import Given
from foundation.clock import Clock


class IntoLake:
    """`GivesAgain` for the archiver. It opens no shard: whoever archives it goes on undisturbed."""

    # One commit for all of them.
    together = 500

    def __init__(self, lake: LateRows, clock: Clock) -> None:
        self._lake = lake
        self._clock = clock

    def done_before(self, letters: Sequence[DeadLetter]) -> frozenset[str]:
        keys = {_late(letter): letter.key for letter in letters}
        return frozenset(keys[record] for record in self._lake.present(list(keys)))

    def begin(self) -> None:
        """Nothing is kept from one redrive to the next."""

    def give(self, letters: Sequence[DeadLetter]) -> Given:
        of_record = {_late(letter): letter for letter in letters}
        refused = self._lake.add(list(of_record))
        failed: dict[str, DeadLetter] = {}
        held_back: dict[str, str] = {}
        for record, error in refused.items():
            letter = of_record[record]
            if isinstance(error, NotYetPassed):
                held_back[letter.key] = str(error)
            else:
                failed[letter.key] = self._again(letter, error)
        return Given(frozenset(of_record[record].key for record in of_record.keys() - refused), failed, held_back)

    def _again(self, letter: DeadLetter, error: Exception) -> DeadLetter:
        return dead_letter(
            consumer=letter.consumer,
            stream=letter.stream,
            shard_id=letter.shard_id,
            record=letter.record,
            failed_at=self._clock.now(),
            attempts=letter.attempts,
            error=error,
        )


def _late(letter: DeadLetter) -> LateRecord:
    return LateRecord(letter.stream, letter.shard_id, letter.record)
