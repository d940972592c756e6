"""Records that nobody can process, kept whole with where they were and why they failed.

What may quote a customer is sealed under that customer's key: who may not read the keys sees where, when and what kind.
"""

import hashlib
import re
import traceback
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Protocol, TypeVar

import msgspec

from analytics.privacy import CustomerKeys, order_subject
from foundation.bucket import Bucket
from foundation.kinesis import Record, SequenceNumber

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


PartT = TypeVar("PartT", bound=msgspec.Struct)

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
    partition_key: str | None
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


class _Sealed(msgspec.Struct, frozen=True):
    """What may be anybody's words: the record, what the error says of it, and the key that its writer chose."""

    partition_key: str | None
    error: str
    payload: bytes


class _Written(msgspec.Struct, frozen=True, kw_only=True):
    """A letter as it lies in the bucket. `sealed` is a token of `customer_keys`."""

    consumer: str
    stream: str
    shard_id: str
    sequence_number: str
    sub_sequence_number: int
    arrived_at: datetime
    failed_at: datetime
    attempts: int
    kind: str
    stack_hash: str
    sealed: str
    claim: Claim | None = None


@dataclass(frozen=True)
class StoredLetter:
    """A letter as it was read; a write over it goes through only if it is still so."""

    letter: DeadLetter
    etag: str
    sealed: str


class NoLetter(Exception):
    """An object among the letters that nobody can read as one. fix: remove it, or leave it: it is skipped."""


class ForgottenLetter(NoLetter):
    """A letter about a customer whose keys were dropped."""


class S3DeadLetters:
    """One JSON object a letter: no size limit below Kinesis' own."""

    def __init__(self, client: "S3Client", bucket: str, keys: CustomerKeys) -> None:
        self._client = client
        self._bucket = Bucket(client, bucket)
        self._keys = keys

    def put(self, letter: DeadLetter) -> None:
        self._client.put_object(
            Bucket=self._bucket.name,
            Key=letter.key,
            # guarantee: a dead letter is sealed
            Body=msgspec.json.encode(_written(letter, self._seal(letter))),
            ContentType="application/json",
        )

    def read(self, key: str) -> StoredLetter | None:
        """The letter, or None when there is none. Raises `NoLetter` for what cannot be read as one."""
        stored = self._bucket.read(key)
        if stored is None:
            return None
        written = _read_as(_Written, self._bucket, key, stored.body)
        text = self._keys.objects.texts([written.sealed])[written.sealed]
        if text is None:
            raise ForgottenLetter(
                f"s3://{self._bucket.name}/{key} is sealed under a key that was dropped: its customer was forgotten. "
                "fix: remove it, or leave it: it is skipped"
            )
        letter = _letter(written, _read_as(_Sealed, self._bucket, key, text))
        if letter.key != key:
            raise NoLetter(f"s3://{self._bucket.name}/{key} holds the letter of another place, {letter.key}")
        return StoredLetter(letter, stored.etag, written.sealed)

    def replace(self, stored: StoredLetter, letter: DeadLetter) -> StoredLetter:
        """Writes over the letter as it was read; `WriteRefused` when it is another one by now, or gone."""
        sealed = stored.sealed if _words(letter) == _words(stored.letter) else self._seal(letter)
        etag = self._bucket.replace(letter.key, msgspec.json.encode(_written(letter, sealed)), stored.etag)
        return StoredLetter(letter, etag, sealed)

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

    def _seal(self, letter: DeadLetter) -> str:
        """Its key is safe before the letter is written."""
        token = self._keys.token(_subject(letter), msgspec.json.encode(_words(letter)).decode())
        self._keys.save()
        return token

    def _read_any(self, key: str) -> StoredLetter | NoLetter | None:
        try:
            return self.read(key)
        except NoLetter as error:
            return error


def kind_of(bucket: Bucket, key: str) -> str | None:
    """The class of a letter's error, which takes no key to read; None when there is no letter. Raises `NoLetter`."""
    stored = bucket.read(key)
    return _read_as(_Written, bucket, key, stored.body).kind if stored else None


def _read_as(part: type[PartT], bucket: Bucket, key: str, body: bytes | str) -> PartT:
    try:
        return msgspec.json.decode(body, type=part)
    except msgspec.DecodeError as error:
        raise NoLetter(f"s3://{bucket.name}/{key} is no dead letter: {error}") from error


def _words(letter: DeadLetter) -> _Sealed:
    return _Sealed(letter.partition_key, letter.error, letter.payload)


def _written(letter: DeadLetter, sealed: str) -> _Written:
    return _Written(
        consumer=letter.consumer,
        stream=letter.stream,
        shard_id=letter.shard_id,
        sequence_number=letter.sequence_number,
        sub_sequence_number=letter.sub_sequence_number,
        arrived_at=letter.arrived_at,
        failed_at=letter.failed_at,
        attempts=letter.attempts,
        kind=letter.kind,
        stack_hash=letter.stack_hash,
        sealed=sealed,
        claim=letter.claim,
    )


def _letter(written: _Written, words: _Sealed) -> DeadLetter:
    return DeadLetter(
        consumer=written.consumer,
        stream=written.stream,
        shard_id=written.shard_id,
        sequence_number=written.sequence_number,
        sub_sequence_number=written.sub_sequence_number,
        partition_key=words.partition_key,
        arrived_at=written.arrived_at,
        failed_at=written.failed_at,
        attempts=written.attempts,
        error=words.error,
        stack_hash=written.stack_hash,
        payload=words.payload,
        claim=written.claim,
    )


def _subject(letter: DeadLetter) -> str:
    """Whose key seals it: the customer's, as far as the bytes still tell, or else the order's.

    The order is its partition key, or what the bytes tell; of neither, the key is the letter's own.
    """
    if customer := _named(_CUSTOMER_ID, letter):
        return customer
    if letter.partition_key is not None:
        return order_subject(letter.partition_key)
    return order_subject(_named(_ORDER_ID, letter) or letter.key)


def _named(by: re.Pattern[bytes], letter: DeadLetter) -> str | None:
    found = by.search(letter.payload)
    return found[1].decode(errors="replace") if found else None


# By the bytes, since nobody could read them.
_CUSTOMER_ID = re.compile(rb'"customer_id"\s*:\s*"([^"\\]{1,128})"')
_ORDER_ID = re.compile(rb'"order_id"\s*:\s*"([^"\\]{1,128})"')


def _stack_hash(error: Exception) -> str:
    """The same for the same error from the same lines, whatever the record."""
    frames = traceback.extract_tb(error.__traceback__)
    places = "\n".join(f"{frame.filename.rsplit('/', 1)[-1]}:{frame.name}" for frame in frames)
    return hashlib.sha256(f"{type(error).__name__}\n{places}".encode()).hexdigest()[:12]
