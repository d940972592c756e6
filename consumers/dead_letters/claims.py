"""A letter is claimed before anything is done with it, as a queue's message is hidden: two at once share them."""

from dataclasses import replace
from datetime import timedelta

from consumers.dead_letters.letters import Claim
from consumers.dead_letters.stored import S3DeadLetters, StoredLetter
from foundation.bucket import WriteRefused
from foundation.clock import Clock

CLAIMED_FOR = timedelta(minutes=2)
BUSY = f"another command has it, or had it when it was killed: free {CLAIMED_FOR.seconds} s after it was claimed"


class Claims:
    """Those of one process. `name` is its own."""

    def __init__(self, letters: S3DeadLetters, clock: Clock, name: str) -> None:
        self._letters = letters
        self._clock = clock
        self._name = name

    def take(self, stored: StoredLetter, *, attempts: int) -> StoredLetter | str | None:
        """The letter as ours, with so many attempts; why it cannot be; or None when it is gone."""
        letter, now = stored.letter, self._clock.now()
        if letter.claim is not None and letter.claim.until > now:
            return BUSY
        claimed = replace(letter, attempts=attempts, claim=Claim(self._name, now + CLAIMED_FOR))
        try:
            # guarantee: a dead letter is claimed before it is given again
            return self._letters.replace(stored, claimed)
        except WriteRefused:
            found = self._letters.look(letter.key)
            if found is None:
                return None
            # It may be our own write, sent twice by a retry.
            return found if isinstance(found, StoredLetter) and found.letter == claimed else BUSY
