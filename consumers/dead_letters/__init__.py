"""Records that a consumer cannot process, set apart whole."""

from consumers.dead_letters.bad_runs import MAX_IN_A_ROW, BadRuns
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
from consumers.dead_letters.set_apart import PERFORMING, READING, SetsApart

__all__ = [
    "MAX_IN_A_ROW",
    "PERFORMING",
    "READING",
    "BadRuns",
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
