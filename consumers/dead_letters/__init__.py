"""Records that a consumer cannot process, set apart whole."""

from consumers.dead_letters.letters import (
    Claim,
    DeadLetter,
    DeadLetters,
    NoLetter,
    S3DeadLetters,
    StoredLetter,
    dead_letter,
    kind_of,
)
from consumers.dead_letters.set_apart import LETTERS_AT_ONCE, Bad, SetsApart

__all__ = [
    "LETTERS_AT_ONCE",
    "Bad",
    "Claim",
    "DeadLetter",
    "DeadLetters",
    "NoLetter",
    "S3DeadLetters",
    "SetsApart",
    "StoredLetter",
    "dead_letter",
    "kind_of",
]
