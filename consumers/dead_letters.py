"""Records that nobody can process, kept whole with where they were and why they failed."""

import hashlib
import traceback
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

import msgspec

from consumers.records import Record

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


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


class S3DeadLetters:
    """One JSON object a letter, the payload in base64: no size limit below Kinesis' own."""

    def __init__(self, client: "S3Client", bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def put(self, letter: DeadLetter) -> None:
        body = msgspec.json.encode(letter)
        self._client.put_object(Bucket=self._bucket, Key=letter.key, Body=body, ContentType="application/json")

    def read(self, key: str) -> DeadLetter:
        return msgspec.json.decode(
            self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read(), type=DeadLetter
        )

    def keys(self, consumer: str = "") -> list[str]:
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=consumer)
        return [entry["Key"] for page in pages for entry in page.get("Contents", [])]


def _stack_hash(error: Exception) -> str:
    """The same for the same error from the same lines, whatever the record."""
    frames = traceback.extract_tb(error.__traceback__)
    places = "\n".join(f"{frame.filename.rsplit('/', 1)[-1]}:{frame.name}" for frame in frames)
    return hashlib.sha256(f"{type(error).__name__}\n{places}".encode()).hexdigest()[:12]
