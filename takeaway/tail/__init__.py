"""`takeaway tail`: the stream's events as they come, whichever shard they are on."""

from takeaway.tail.following import READS_PER_SECOND, StreamTail
from takeaway.tail.showing import Shown, Wanted, shown

__all__ = ["READS_PER_SECOND", "Shown", "StreamTail", "Wanted", "shown"]
