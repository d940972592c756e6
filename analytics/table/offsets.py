"""What the lake has of one shard: a small object beside the log, changed only by conditional writes."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import total_ordering
from typing import Annotated

import msgspec

from foundation.bucket import Bucket
from foundation.clock import Clock

NewId = Callable[[], str]

# Kinesis keeps a record for 24 hours at least: https://docs.aws.amazon.com/streams/latest/dev/kinesis-extended-retention
# One hour of it is margin, for clocks that differ and for the time between a judgement and its read.
SURELY_RETAINED = timedelta(hours=23)


def random_id() -> str:
    return uuid.uuid4().hex


@total_ordering
@dataclass(frozen=True, eq=False)
class Place:
    """A user record's place in its shard. Compared as integers, kept as the text received."""

    sequence_number: str
    sub_sequence_number: int = 0

    @property
    def key(self) -> tuple[int, int]:
        return int(self.sequence_number), self.sub_sequence_number

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Place) and self.key == other.key

    def __lt__(self, other: "Place") -> bool:
        return self.key < other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __str__(self) -> str:
        return f"{self.sequence_number}.{self.sub_sequence_number}"


@dataclass(frozen=True)
class Moment:
    """When something was so. `monotonic` is None when another process noted it."""

    at: datetime
    monotonic: float | None = None

    @classmethod
    def now(cls, clock: Clock) -> "Moment":
        return cls(clock.now(), clock.monotonic())

    def age(self, clock: Clock) -> timedelta:
        """By the clock that says more: a wall clock that is set back makes it no younger, nor does a machine's sleep.

        Negative when the wall clock has not come there yet.
        """
        by_wall = clock.now() - self.at
        if self.monotonic is None or by_wall < timedelta(0):
            return by_wall
        return max(by_wall, timedelta(seconds=clock.monotonic() - self.monotonic))

    def is_within(self, span: timedelta, clock: Clock) -> bool:
        return timedelta(0) <= self.age(clock) <= span


class Pending(msgspec.Struct, frozen=True, kw_only=True):
    """A batch written down before its files: the records in (lo, hi], however few of them became rows.

    The others were `dropped`, their event having come before, or `set_apart`.
    """

    batch_id: str
    n: int
    lo: Place | None
    hi: Place
    files: tuple[str, ...]
    rows: int
    schema: str
    dropped: int = 0
    set_apart: int = 0


class Offsets(msgspec.Struct, frozen=True, kw_only=True):
    """`n` counts the shard's batches and `hi` is the last place in the lake. Each holder has its own `epoch`.

    `revision` is new in every body, so that two writes never have the same ETag: S3 makes it from the content.
    At `caught_up_at` the shard had been read to its tip and all of it was in the lake: nothing that came until then
    lies beyond `hi`. That stays true however old it gets; older bodies do not tell.
    """

    revision: str = ""
    epoch: int
    n: int
    hi: Place | None
    pending: Pending | None = None
    caught_up_at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None


@dataclass(frozen=True)
class Held:
    """The offsets as last read or written, and the ETag that the next write must find."""

    offsets: Offsets
    etag: str


def read_offsets(bucket: Bucket, key: str) -> Held | None:
    """The object, or None when there is none."""
    stored = bucket.read(key)
    return Held(msgspec.json.decode(stored.body, type=Offsets), stored.etag) if stored else None


class OffsetsObject:
    """The one object of a shard. Each write gets a revision of its own, and raises `WriteRefused` on any other's."""

    def __init__(self, bucket: Bucket, key: str, new_id: NewId) -> None:
        self._bucket = bucket
        self._key = key
        self._new_id = new_id

    def read(self) -> Held | None:
        return read_offsets(self._bucket, self._key)

    def create(self, offsets: Offsets) -> Held:
        revised = self._revised(offsets)
        return Held(revised, self._bucket.create(self._key, msgspec.json.encode(revised)))

    def replace(self, held: Held, offsets: Offsets) -> Held:
        revised = self._revised(offsets)
        return Held(revised, self._bucket.replace(self._key, msgspec.json.encode(revised), held.etag))

    def _revised(self, offsets: Offsets) -> Offsets:
        return msgspec.structs.replace(offsets, revision=self._new_id())
