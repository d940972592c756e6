"""A letter as it lies in the bucket: facts that all may read, and one sealed part with what may quote a customer."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, TypeVar

import msgspec

from consumers.dead_letters.letters import Claim, DeadLetter

PartT = TypeVar("PartT", bound=msgspec.Struct)
# Fields of a later release, by their names and as they are written.
Beyond = Mapping[str, msgspec.Raw]

FORMAT = 1

_Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class NoLetter(Exception):
    """An object among the letters that cannot be read as one: which, why, and what to do. It hides no other.

    `etag` says what lay there; None where not even that is known.
    """

    def __init__(self, where: str, why: str, fix: str, etag: str | None = None) -> None:
        super().__init__(f"{where} {why}. fix: {fix}")
        self.what = f"{where} {why}"
        self.fix = fix
        self.etag = etag


class ForgottenLetter(NoLetter):
    """A letter about a customer whose keys were dropped."""


class Sealed(msgspec.Struct, frozen=True):
    """What may be anybody's words: the record, what the error says of it, and the key that its writer chose."""

    partition_key: str | None
    error: str
    payload: bytes


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """The whole. `sealed` is a token of `customer_keys`; `format` rises when an older release must not read it."""

    consumer: str
    stream: str
    shard_id: str
    sequence_number: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,128}\Z")]
    sub_sequence_number: Annotated[int, msgspec.Meta(ge=0, lt=1_000_000_000)]
    arrived_at: _Moment
    failed_at: _Moment
    attempts: Annotated[int, msgspec.Meta(ge=0, lt=2**31)]
    kind: str
    stack_hash: str
    sealed: str
    cause: str = ""
    verdict: str | None = None
    newer: str | None = None
    claim: Claim | None = None
    format: int = FORMAT


class _Format(msgspec.Struct):
    format: int = FORMAT


class Unreadable(Exception):
    """Why bytes are no letter, and what to do; where they lie is for the reader to say."""

    def __init__(self, why: str, fix: str) -> None:
        super().__init__(why)
        self.why = why
        self.fix = fix


_DROP = "`takeaway dlq drop` sets it aside; it is skipped until then"
# What a decoder raises for one text or another: deep nesting, halves of characters, years that there are none of.
_UNDECODABLE = (msgspec.MsgspecError, RecursionError, ValueError, OverflowError)


def written(body: bytes) -> tuple[Written, Beyond]:
    """The letter, and the fields of a later release. Raises `Unreadable` for anything else, whatever it is."""
    if _decoded(_Format, body).format > FORMAT:
        raise Unreadable("is a letter of a later release", "use that release, which can read it")
    letter = _decoded(Written, body)
    fields: dict[str, msgspec.Raw] = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    return letter, {name: raw for name, raw in fields.items() if name not in Written.__struct_fields__}


def opened(letter: Written, text: str) -> DeadLetter:
    """With its sealed part. Raises `Unreadable`."""
    words = _decoded(Sealed, text)
    return DeadLetter(
        consumer=letter.consumer,
        stream=letter.stream,
        shard_id=letter.shard_id,
        sequence_number=letter.sequence_number,
        sub_sequence_number=letter.sub_sequence_number,
        partition_key=words.partition_key,
        arrived_at=_in_utc(letter.arrived_at),
        failed_at=_in_utc(letter.failed_at),
        attempts=letter.attempts,
        error=words.error,
        stack_hash=letter.stack_hash,
        payload=words.payload,
        cause=letter.cause,
        verdict=letter.verdict,
        newer=letter.newer,
        claim=letter.claim,
    )


def words(letter: DeadLetter) -> Sealed:
    """What of it is sealed."""
    return Sealed(letter.partition_key, letter.error, letter.payload)


def body(letter: DeadLetter, sealed: str, beyond: Beyond | None = None) -> bytes:
    """The object's bytes; fields of a later release stay as they are."""
    facts = Written(
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
        cause=letter.cause,
        verdict=letter.verdict,
        newer=letter.newer,
        sealed=sealed,
        claim=letter.claim,
    )
    encoded = msgspec.json.encode(facts)
    # guarantee: what a later release wrote into a letter stays there
    return encoded[:-1] + b"," + msgspec.json.encode(beyond)[1:] if beyond else encoded


def unclaimed(body: bytes) -> bytes:
    """The letter without its claim; what is none stays as it is."""
    try:
        fields: dict[str, msgspec.Raw] = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    except _UNDECODABLE:
        return body
    claimed = fields.pop("claim", None)
    return body if claimed is None else msgspec.json.encode(fields)


def _in_utc(moment: datetime) -> datetime:
    """Raises `Unreadable` outside the years that every clock here has."""
    try:
        datetime.fromtimestamp(moment.timestamp(), UTC)
        return moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise Unreadable(f"is no dead letter: {error}", _DROP) from error


def _decoded(part: type[PartT], body: bytes | str) -> PartT:
    try:
        return msgspec.json.decode(body, type=part)
    # guarantee: one unreadable letter hides no other
    except _UNDECODABLE as error:
        raise Unreadable(f"is no dead letter: {error}", _DROP) from error
