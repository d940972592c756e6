"""What DynamoDB is, as far as it takes more than a call."""

from foundation.dynamodb.reads import MAX_KEYS_PER_READ, LeftUnread, batch_get

__all__ = ["MAX_KEYS_PER_READ", "LeftUnread", "batch_get"]
