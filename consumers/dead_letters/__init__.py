"""Records that a consumer cannot process, set apart whole; and the end of them: given again, or dropped."""

from consumers.dead_letters.addresses import DROPPED, NEWER, address_of, is_dropped, letter_place, living, record_of
from consumers.dead_letters.claims import BUSY, CLAIMED_FOR, Claims
from consumers.dead_letters.dropping import Drops, Ending
from consumers.dead_letters.forms import NoLetter
from consumers.dead_letters.letters import Claim, DeadLetter, DeadLetters, dead_letter
from consumers.dead_letters.newer import GivesNewerAgain
from consumers.dead_letters.set_apart import LETTERS_AT_ONCE, Bad, SetsApart
from consumers.dead_letters.stored import MOST_REASON, READERS, S3DeadLetters, StoredLetter, kind_of

__all__ = [
    "BUSY",
    "CLAIMED_FOR",
    "DROPPED",
    "LETTERS_AT_ONCE",
    "MOST_REASON",
    "NEWER",
    "READERS",
    "Bad",
    "Claim",
    "Claims",
    "DeadLetter",
    "DeadLetters",
    "Drops",
    "Ending",
    "GivesNewerAgain",
    "NoLetter",
    "S3DeadLetters",
    "SetsApart",
    "StoredLetter",
    "address_of",
    "dead_letter",
    "is_dropped",
    "kind_of",
    "letter_place",
    "living",
    "record_of",
]
