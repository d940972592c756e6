"""Gathers what the audit judges: the ledger, the stream, the messages and mails as received, and the lake."""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from consumers.specs import LAKE_FILLERS
from events import UnreadableEvent, decode
from foundation import aws
from foundation.bucket import Bucket
from foundation.clock import SYSTEM_CLOCK, Clock, Wait
from foundation.kinesis import SequenceNumber, StreamPosition
from foundation.settings import variable
from takeaway.audit.observer import StreamObserver
from takeaway.audit.stream import retained_records
from takeaway.audit.verdict import Effect, Evidence, Fact
from takeaway.errors import UserError
from takeaway.http import get
from takeaway.local import authorization

# While the audit looks, nobody else sees the message; afterwards it is given back.
_LOOKING_SECONDS = 120
_SQS_BATCH = 10
# Longer than a slow step takes between hearing and telling.
_QUIET_SECONDS = 4.0
# The last line of our letters; what stands above may hold anybody's words.
_REFERENCE = re.compile(r"^Reference: ([0-9a-f-]{36})\s*\Z", re.MULTILINE)


def gather(environ: Mapping[str, str], ledger: Path) -> Evidence:
    """All evidence at this moment. Reads only: messages stay in their queue, mails and objects where they are.

    Raises `UserError` where there is nothing to hold against each other: no entry in the ledger, or no local AWS, whose
    mails alone can be read back.
    """
    require_auditable(environ, ledger)
    facts, unreadable = stream_facts(environ)
    letters = Bucket(aws.client("s3", environ), environ[variable("dead_letter_bucket")])
    return Evidence(
        ledger=ledger_facts(ledger),
        stream=facts,
        effects=(*ticket_effects(environ), *mail_effects(environ)),
        lake=lake_facts(environ),
        unreadable=unreadable,
        dropped=dropped_records(environ),
        quarantined=frozenset(letter_place(key) for name in LAKE_FILLERS for key in letters.keys(f"{name}/")),
    )


def require_auditable(environ: Mapping[str, str], ledger: Path) -> None:
    if not aws.reaches_only_local(environ) or variable("audit_queue") not in environ:
        raise UserError(
            "an audit needs a local AWS: it reads back every message and mail that was sent",
            "`takeaway up`, or set AWS_ENDPOINT_URL; `takeaway deploy` there makes the audit's queue",
        )
    if not ledger_facts(ledger):
        raise UserError(
            f"there is no ledger in {ledger}", "run `takeaway load` first, or name the folder with --ledger"
        )


def settle(environ: Mapping[str, str], *, within: float, wait: Wait, clock: Clock = SYSTEM_CLOCK) -> None:
    """Waits until nothing has come onto the stream for a while and the lake has all of it; at most `within` seconds."""
    observer, deadline = StreamObserver(environ), clock.monotonic() + within
    quiet_since, records = clock.monotonic(), -1
    while clock.monotonic() < deadline:
        observer.look()
        if observer.records != records:
            quiet_since, records = clock.monotonic(), observer.records
        elif clock.monotonic() - quiet_since >= _QUIET_SECONDS and lake_has(environ, records):
            return
        wait(1.0)


def ledger_facts(directory: Path) -> tuple[Fact, ...]:
    from producers.load.ledger import read_ledger

    return tuple(
        Fact(entry.event_id, entry.event_type, entry.order_id, certain=entry.acknowledged_at is not None)
        for entry in read_ledger(directory).entries
    )


def stream_facts(environ: Mapping[str, str]) -> tuple[tuple[Fact, ...], frozenset[StreamPosition]]:
    """Every user record that the stream retains: the readable ones as facts, the places of the others."""
    facts: list[Fact] = []
    unreadable: set[StreamPosition] = set()
    for shard_id, record in retained_records(environ):
        place = shard_id, record.sequence_number
        try:
            envelope = decode(record.data)
        except UnreadableEvent:
            unreadable.add(place)
        else:
            facts.append(Fact(envelope.event_id, envelope.event_type, envelope.order_id, place))
    return tuple(facts), frozenset(unreadable)


def ticket_effects(environ: Mapping[str, str]) -> list[Effect]:
    """What SNS delivered, from the queue that hears every topic and that nobody empties.

    A message is hidden from others while it is looked at; whatever happens, it is given back.
    """
    sqs: Any = aws.client("sqs", environ)
    url = environ[variable("audit_queue")]
    hidden = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessagesNotVisible"])
    if int(hidden["Attributes"]["ApproximateNumberOfMessagesNotVisible"]):
        raise UserError(
            "another audit is looking at the messages, or was cut short",
            f"wait for it to end; what one that was killed had in hand comes back within {_LOOKING_SECONDS} s",
        )
    received: dict[str, dict[str, Any]] = {}
    try:
        while messages := sqs.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=_SQS_BATCH,
            VisibilityTimeout=_LOOKING_SECONDS,
            AttributeNames=["SentTimestamp"],
        ).get("Messages"):
            received |= {message["MessageId"]: message for message in messages}
    finally:
        _give_back(sqs, url, [message["ReceiptHandle"] for message in received.values()])
    return [_ticket(message) for message in received.values()]


def _ticket(message: dict[str, Any]) -> Effect:
    sent_at = datetime.fromtimestamp(int(message["Attributes"]["SentTimestamp"]) / 1000, UTC)
    try:
        event_id = str(json.loads(message["Body"])["event_id"])
    except (ValueError, KeyError, TypeError):
        # No ticket of ours; the audit then says that it answers no event.
        event_id = f"unreadable message {message['MessageId']}"
    return Effect("ticket", event_id, sent_at)


def _give_back(sqs: Any, url: str, handles: list[str]) -> None:
    for start in range(0, len(handles), _SQS_BATCH):
        answer = sqs.change_message_visibility_batch(
            QueueUrl=url,
            Entries=[
                {"Id": str(index), "ReceiptHandle": handle, "VisibilityTimeout": 0}
                for index, handle in enumerate(handles[start : start + _SQS_BATCH])
            ],
        )
        if answer.get("Failed"):
            raise UserError(
                f"{len(answer['Failed'])} messages could not be given back to the audit's queue",
                f"audit again in {_LOOKING_SECONDS} s, when they have come back by themselves",
            )


def mail_effects(environ: Mapping[str, str]) -> list[Effect]:
    """The mails that the local AWS took, read back from it; each quotes the event it answers."""
    mails = _ministack_mails(environ) if _is_ministack(environ) else _localstack_mails(environ)
    return [Effect("e-mail", found[1], sent_at) for body, sent_at in mails if (found := _REFERENCE.search(body))]


def lake_facts(environ: Mapping[str, str]) -> tuple[Fact, ...]:
    """Every row that a reader of the lake sees; none when nothing was ever committed."""
    from analytics.lake import Lake, NoLake

    columns = ["event_id", "event_type", "order_id", "_shard", "_sequence_number", "_sub_sequence_number"]
    try:
        rows = Lake.from_environment(environ).dataset().to_table(columns=columns).to_pylist()
    except NoLake:
        return ()
    return tuple(
        Fact(
            row["event_id"],
            row["event_type"],
            row["order_id"],
            (row["_shard"], SequenceNumber(row["_sequence_number"], row["_sub_sequence_number"])),
        )
        for row in rows
    )


def lake_rows(environ: Mapping[str, str]) -> int:
    """How many rows a reader of the lake sees."""
    from analytics.lake import Lake, NoLake

    try:
        return Lake.from_environment(environ).dataset().count_rows()
    except NoLake:
        return 0


def dropped_records(environ: Mapping[str, str]) -> int:
    """How many records the lake's log says were dropped, since they repeat an event that is a row already."""
    from deltalake import DeltaTable
    from deltalake.exceptions import TableNotFoundError

    from analytics.table import dropped_by, table_uri

    try:
        table = DeltaTable(table_uri(environ[variable("lake_bucket")]), storage_options=aws.storage_options(environ))
    except TableNotFoundError:
        return 0
    return sum(dropped_by(commit) for commit in table.history())


def lake_has(environ: Mapping[str, str], records: int) -> bool:
    """Whether the lake accounts for so many records: each is a row, or was dropped."""
    rows = lake_rows(environ)
    return rows >= records or rows + dropped_records(environ) >= records


def letter_place(key: str) -> StreamPosition:
    """The place that a dead letter's key names: consumer/stream/shard/number-sub.json."""
    _, _, shard_id, name = key.split("/")
    number, sub = name.removesuffix(".json").rsplit("-", 1)
    return shard_id, SequenceNumber(number, int(sub))


def _is_ministack(environ: Mapping[str, str]) -> bool:
    return _get(environ, "/_ministack/health") is not None


def _ministack_mails(environ: Mapping[str, str]) -> Iterator[tuple[str, datetime]]:
    """The text of each mail, and when it was sent."""
    for mails in (_get(environ, "/_ministack/ses/messages") or {"messages": {}})["messages"].values():
        for mail in mails:
            yield mail["BodyText"], datetime.fromtimestamp(mail["Timestamp"], UTC)


def _localstack_mails(environ: Mapping[str, str]) -> Iterator[tuple[str, datetime]]:
    for mail in (_get(environ, "/_aws/ses") or {"messages": []})["messages"]:
        text = mail.get("Body", {}).get("text_part") or mail.get("RawData", "")
        yield text, datetime.fromisoformat(mail["Timestamp"]).replace(tzinfo=UTC)


def intended_times(directory: Path) -> dict[str, datetime]:
    """When the load meant each command to be given, by the id of the command's event."""
    from producers.load.ledger import read_ledger

    return {entry.event_id: entry.intended_at for entry in read_ledger(directory).entries if not entry.because_of}


def _get(environ: Mapping[str, str], path: str) -> Any:
    """The JSON at that path of the local AWS, or None when there is no such path."""
    headers = authorization(environ.get("AWS_ACCESS_KEY_ID", ""))
    answer = get(environ["AWS_ENDPOINT_URL"], path, headers=headers, seconds=60)
    return answer.json() if answer.is_success else None
