"""What the lake has of one shard: a small object beside the log, changed only by conditional writes."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

import msgspec

from analytics.table.layout import ShardPaths
from foundation.bucket import Bucket
from foundation.ids import NewId
from foundation.kinesis import SequenceNumber


def place_text(place: SequenceNumber | None) -> str:
    """How the lake's footers, transactions and messages name a place: always with the sub-number; `None` for none."""
    return "None" if place is None else f"{place.number}.{place.sub}"


class Pending(msgspec.Struct, frozen=True, kw_only=True):
    """A batch written down before its files: the records in (lo, hi], however few of them became rows.

    The others were `dropped`, their event having come before, or `set_apart`.
    """

    batch_id: str
    n: int
    lo: SequenceNumber | None
    hi: SequenceNumber
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
    `creation` is that of the stream whose places these are, as it was when the object was first claimed with one known.
    """

    revision: str = ""
    epoch: int
    n: int
    hi: SequenceNumber | None
    pending: Pending | None = None
    caught_up_at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    creation: str | None = None


def is_anothers(offsets: Offsets, creation: str | None) -> bool:
    """Whether these are the places of another stream of the same name. What is not known is taken for the same."""
    # guarantee: a stream made anew is told from the one before
    return None not in {creation, offsets.creation} and offsets.creation != creation


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


def paths_of(bucket: Bucket, paths: ShardPaths, creation: str | None) -> ShardPaths:
    """The names in the lake of a shard of the stream of this creation, as its first holder chose them."""
    found = read_offsets(bucket, paths.offsets_key)
    return paths.anew(creation) if creation and found and is_anothers(found.offsets, creation) else paths
