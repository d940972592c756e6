"""Records that nobody can process, kept whole with where they were and why they failed."""

import hashlib
import traceback
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Protocol

import msgspec

from analytics.bucket import Bucket
from consumers.records import Record, SequenceNumber

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


# Letters read at a time: fewer than a client's ten connections, and each may be as large as a record, 10 MiB.
_READERS = 8
_READ_AHEAD = 32


@dataclass(frozen=True)
class Claim:
    """Who redrives a letter, and until when nobody else does."""

    by: str
    until: datetime


@dataclass(frozen=True)
class DeadLetter:
    """One record set apart. `payload` is the record's bytes, whole; `stack_hash` groups letters of one cause."""

    consumer: str
    stream: str
    shard_id: str
    sequence_number: str
    sub_sequence_number: int
    partition_key: str
    arrived_at: datetime
    failed_at: datetime
    attempts: int
    error: str
    stack_hash: str
    payload: bytes
    claim: Claim | None = None

    @property
    def kind(self) -> str:
        """The class of the error: unlike its text, it quotes nobody."""
        return self.error.partition(":")[0]

    @property
    def record(self) -> Record:
        """The record as the consumer was given it."""
        return Record(
            number=self.sequence_number,
            partition_key=self.partition_key,
            data=self.payload,
            arrived=self.arrived_at.timestamp(),
            sub=self.sub_sequence_number,
        )

    @property
    def place(self) -> SequenceNumber:
        return SequenceNumber(self.sequence_number, self.sub_sequence_number)

    @property
    def key(self) -> str:
        """Derived from the record's place: writing a letter twice leaves one."""
        return f"{self.consumer}/{self.stream}/{self.shard_id}/{self.sequence_number}-{self.sub_sequence_number}.json"


class DeadLetters(Protocol):
    """Somewhere to put letters; `put` returns only when the letter is safe."""

    def put(self, letter: DeadLetter) -> None: ...


def dead_letter(
    *, consumer: str, stream: str, shard_id: str, record: Record, failed_at: datetime, attempts: int, error: Exception
) -> DeadLetter:
    return DeadLetter(
        consumer=consumer,
        stream=stream,
        shard_id=shard_id,
        sequence_number=record.sequence_number.number,
        sub_sequence_number=record.sequence_number.sub,
        partition_key=record.partition_key,
        arrived_at=record.arrived_at,
        failed_at=failed_at,
        attempts=attempts,
        error=f"{type(error).__name__}: {error}",
        stack_hash=_stack_hash(error),
        payload=record.data,
    )


@dataclass(frozen=True)
class StoredLetter:
    """A letter as it was read; a write over it goes through only if it is still so."""

    letter: DeadLetter
    etag: str


class NoLetter(Exception):
    """An object among the letters that is none of ours. fix: remove it, or leave it: it is skipped."""


class S3DeadLetters:
    """One JSON object a letter, the payload in base64: no size limit below Kinesis' own."""

    def __init__(self, client: "S3Client", bucket: str) -> None:
        self._client = client
        self._bucket = Bucket(client, bucket)

    def put(self, letter: DeadLetter) -> None:
        self._client.put_object(
            Bucket=self._bucket.name, Key=letter.key, Body=msgspec.json.encode(letter), ContentType="application/json"
        )

    def read(self, key: str) -> StoredLetter | None:
        """The letter, or None when there is none. Raises `NoLetter` for what cannot be read as one."""
        stored = self._bucket.read(key)
        if stored is None:
            return None
        try:
            letter = msgspec.json.decode(stored.body, type=DeadLetter)
        except msgspec.DecodeError as error:
            raise NoLetter(f"s3://{self._bucket.name}/{key} is no dead letter: {error}") from error
        if letter.key != key:
            raise NoLetter(f"s3://{self._bucket.name}/{key} holds the letter of another place, {letter.key}")
        return StoredLetter(letter, stored.etag)

    def replace(self, stored: StoredLetter, letter: DeadLetter) -> StoredLetter:
        """Writes over the letter as it was read; `WriteRefused` when it is another one by now, or gone."""
        return StoredLetter(letter, self._bucket.replace(letter.key, msgspec.json.encode(letter), stored.etag))

    def remove(self, key: str) -> None:
        self._client.delete_object(Bucket=self._bucket.name, Key=key)

    def keys(self, prefix: str = "") -> list[str]:
        return list(self._bucket.keys(prefix))

    def read_all(self, keys: Iterable[str]) -> Iterator[tuple[str, StoredLetter | NoLetter]]:
        """Each letter that is still there, in the order of the keys; a few are read at once, and ahead."""
        with ThreadPoolExecutor(_READERS, thread_name_prefix="letters") as readers:
            rest = iter(keys)
            while some := list(islice(rest, _READ_AHEAD)):
                for key, found in zip(some, readers.map(self._read_any, some), strict=True):
                    if found is not None:
                        yield key, found

    def _read_any(self, key: str) -> StoredLetter | NoLetter | None:
        try:
            return self.read(key)
        except NoLetter as error:
            return error


def _stack_hash(error: Exception) -> str:
    """The same for the same error from the same lines, whatever the record."""
    frames = traceback.extract_tb(error.__traceback__)
    places = "\n".join(f"{frame.filename.rsplit('/', 1)[-1]}:{frame.name}" for frame in frames)
    return hashlib.sha256(f"{type(error).__name__}\n{places}".encode()).hexdigest()[:12]
