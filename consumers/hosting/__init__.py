"""Several consumers in one process: one lease, and one read of a shard, feed a processor of each."""

from consumers.hosting.member import CATCHES_UP_SECONDS, MOST_WAITING, MOST_WAITING_BYTES
from consumers.hosting.together import hosting

__all__ = ["CATCHES_UP_SECONDS", "MOST_WAITING", "MOST_WAITING_BYTES", "hosting"]
