"""Records that nobody can process, kept whole with where they were and why they failed."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Protocol

from msgspec import Meta

from consumers.dead_letters.addresses import Address
from consumers.dead_letters.causes import cause_of
from consumers.verdicts import told
from events import UnknownEvent
from foundation.kinesis import Record, SequenceNumber


@dataclass(frozen=True)
class Claim:
    """Who redrives or drops a letter, and until when nobody else does."""

    by: str
    until: Annotated[datetime, Meta(tz=True)]


@dataclass(frozen=True)
class DeadLetter:
    """One record set apart. `payload` is the record's bytes, whole.

    `cause` quotes nobody, and `stack_hash` stands for it; older letters have the hash alone, of the whole stack.
    `newer` names the event, as `order_placed.v2`, that the release which wrote the letter did not know.
    """

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
    cause: str = ""
    verdict: str | None = None
    newer: str | None = None
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
        return Address(self.consumer, self.stream, self.shard_id, self.place, self.newer).key


class DeadLetters(Protocol):
    """Somewhere to put letters; `put` returns only when the letter is safe."""

    def put(self, letter: DeadLetter) -> None: ...


def dead_letter(
    *,
    consumer: str,
    stream: str,
    shard_id: str,
    record: Record,
    failed_at: datetime,
    attempts: int,
    error: Exception,
) -> DeadLetter:
    cause = cause_of(error)
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
        stack_hash=cause.short,
        cause=cause.text,
        verdict=told(error),
        newer=error.header.name if isinstance(error, UnknownEvent) else None,
        payload=record.data,
    )
