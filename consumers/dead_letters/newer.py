"""Letters of events that were newer than the release which set them apart: a process that knows them by now."""

from collections.abc import Callable, Collection, Sequence

from consumers.dead_letters.addresses import NEWER, address_of
from consumers.dead_letters.stored import S3DeadLetters
from consumers.diagnostics import NewerLettersWait
from foundation.clock import Wait
from foundation.diagnostics import Emit

# Others may set more apart for as long as they run.
_EVERY_SECONDS = 60.0


class GivesNewerAgain:
    """For one consumer in one process. `knows` has what it can read, as `order_placed.v1`.

    `redrive` takes keys, and answers those of them that are no letters, as when their customer was forgotten: a process
    tries these once.

    Several processes at once share the letters: each is claimed, and an effect that is remembered is not repeated.
    """

    def __init__(
        self,
        letters: S3DeadLetters,
        consumer: str,
        knows: Collection[str],
        redrive: Callable[[Sequence[str]], Collection[str]],
        *,
        wait: Wait,
        emit: Emit,
    ) -> None:
        self._letters = letters
        self._consumer = consumer
        self._knows = knows
        self._redrive = redrive
        self._wait = wait
        self._emit = emit
        self._none: set[str] = set()

    def give(self) -> None:
        """All that there are now. What fails again is a letter like any other from then on."""
        there = self._letters.keys(f"{self._consumer}/{NEWER}")
        self._none &= set(there)
        # guarantee: what is no letter is not tried again and again
        keys = [key for key in there if key not in self._none and self._can_read(key)]
        if keys:
            self._none |= set(self._redrive(keys))

    def run(self) -> None:
        """At once, and once a minute, until the wait is cut short. What goes wrong is told once, and tried again."""
        told: str | None = None
        while True:
            try:
                self.give()
            except Exception as error:  # noqa: BLE001 - the letters are safe where they are, and the consumer goes on
                if str(error) != told:
                    told = str(error)
                    self._emit(NewerLettersWait(self._consumer, error))
            if self._wait(_EVERY_SECONDS):
                return

    def _can_read(self, key: str) -> bool:
        address = address_of(key)
        # guarantee: what this release cannot read it does not give again
        return address is not None and address.newer in self._knows
