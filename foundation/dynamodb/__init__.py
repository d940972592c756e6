"""What DynamoDB is, as far as it takes more than a call: many keys at once, and rounds over a sparse index."""

from foundation.dynamodb.reads import MAX_KEYS_PER_READ, LeftUnread, batch_get
from foundation.dynamodb.rounds import FAILURES_A_ROUND, MOST_OF_A_PART, Outcome, Rounds

__all__ = [
    "FAILURES_A_ROUND",
    "MAX_KEYS_PER_READ",
    "MOST_OF_A_PART",
    "LeftUnread",
    "Outcome",
    "Rounds",
    "batch_get",
]
