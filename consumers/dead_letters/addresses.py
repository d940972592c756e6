"""Where a letter lies, which record it is about, and whether it was dropped: all three are said by its key."""

import re
from dataclasses import dataclass

from foundation.kinesis import SequenceNumber, StreamPosition

DROPPED = "dropped/"
# Below their consumer's name: letters of events that are newer than the release which set them apart.
NEWER = "newer/"

# Another release may have more in the middle.
_KEY = re.compile(
    rf"(?P<consumer>[^/]+)/({NEWER}(?P<newer>[a-z][a-z0-9_]{{0,63}}\.v[0-9]{{1,10}})/)?"
    r"(?P<stream>.+)/(?P<shard>[^/]+)/(?P<number>[0-9]{1,128})-(?P<sub>[0-9]{1,9})\.json",
    re.DOTALL,
)


@dataclass(frozen=True)
class Address:
    """A letter's: its consumer, and its record's place on the stream.

    `newer` is what it tells, as `order_placed.v2`, where that is newer than the release which set it apart.
    """

    consumer: str
    stream: str
    shard_id: str
    place: SequenceNumber
    newer: str | None = None

    @property
    def key(self) -> str:
        """Derived from the record's place: writing a letter twice leaves one."""
        newer = f"{NEWER}{self.newer}/" if self.newer else ""
        return f"{self.consumer}/{newer}{self.record}.json"

    @property
    def record(self) -> str:
        """The same for the letters of all consumers that set the record apart."""
        return f"{self.stream}/{self.shard_id}/{self.place.number}-{self.place.sub}"


def address_of(key: str) -> Address | None:
    """What the key of a letter says, dropped or not; None for the key of anything else."""
    found = _KEY.fullmatch(living(key))
    if found is None:
        return None
    place = SequenceNumber(found["number"], int(found["sub"]))
    return Address(found["consumer"], found["stream"], found["shard"], place, found["newer"])


def record_of(key: str) -> str:
    """What the letters of one record have in common; the key itself where it is no letter's."""
    address = address_of(key)
    return key if address is None else address.record


def letter_place(key: str) -> StreamPosition | None:
    """Where the record lies that a letter is about; None for the key of anything else."""
    address = address_of(key)
    return None if address is None else (address.shard_id, address.place)


def is_dropped(key: str) -> bool:
    return key.startswith(DROPPED)


def living(key: str) -> str:
    """The key under which a letter lay before it was dropped."""
    return key.removeprefix(DROPPED)
