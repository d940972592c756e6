"""Gathers what the audit judges: the ledger, the stream, the messages and mails as received, and the lake."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path

from botocore.exceptions import ClientError

from analytics.assembly import lake_names
from consumers.dead_letters import DROPPED, letter_place
from consumers.specs import CONSUMERS, LAKE_FILLERS, fed_by
from events import EVENT_TYPES, OrderExpired, OrderPlaced, UnreadableEvent, decode_only, header_of
from foundation import aws
from foundation.bucket import Bucket
from foundation.clock import SYSTEM_CLOCK, Clock, Wait
from foundation.error_codes import error_code
from foundation.kinesis import Position, StreamPosition, listed_shards
from foundation.settings import from_environment, variable
from takeaway.audit.effects import mail_effects, ticket_effects
from takeaway.audit.facts import BadRecord, Evidence, Fact
from takeaway.audit.lake import lake_evidence, lake_has
from takeaway.audit.observer import StreamObserver
from takeaway.audit.rest import with_ended
from takeaway.audit.stream import retained_records
from takeaway.audit.verdict import Audit, Bounds, audit
from takeaway.errors import UserError

# Longer than a slow step takes between hearing and telling, and than the consumers with the fewest reads take to hear.
_QUIET_SECONDS = 6.0
# A look reads all of the stream and of the lake.
_AGAIN_SECONDS = 2.0


def gather(environ: Mapping[str, str], ledger: Path) -> Evidence:
    """All evidence at this moment. Reads only: messages stay in their queue, mails and objects where they are.

    The order of the reads is `Evidence`'s. Raises `UserError` where there is nothing to hold against each other: no
    entry in the ledger, or no local AWS, whose mails alone can be read back.
    """
    require_auditable(environ, ledger)
    promised = ledger_facts(ledger)
    checkpoints = step_checkpoints(environ)
    effects = (*ticket_effects(environ), *mail_effects(environ))
    lake = lake_evidence(environ)
    letters = Bucket(aws.client("s3", environ), environ[variable("dead_letter_bucket")])
    apart = {name: set_apart(letters, name) for name in CONSUMERS}
    stream, unreadable = stream_facts(environ)
    return Evidence(
        ledger=promised,
        stream=stream,
        effects=effects,
        lake=lake.rows,
        unreadable=unreadable,
        letters=apart,
        dropped=lake.dropped,
        intended=intended_events(ledger),
        reached={**checkpoints, **dict.fromkeys(LAKE_FILLERS, lake.reached)},
        paces=paces(environ),
        looked_at=SYSTEM_CLOCK.now(),
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


def settle(
    environ: Mapping[str, str],
    *,
    within: float,
    wait: Wait,
    clock: Clock = SYSTEM_CLOCK,
    tell: Callable[[str], None] = lambda _: None,
) -> None:
    """Waits until nothing has come onto the stream for a while and the lake has all of it; at most `within` seconds.

    `tell` is told how far that is.
    """
    observer, deadline = StreamObserver(environ), clock.monotonic() + within
    quiet_since, records = clock.monotonic(), -1
    while clock.monotonic() < deadline:
        observer.look()
        if observer.records != records:
            quiet_since, records = clock.monotonic(), observer.records
        elif clock.monotonic() - quiet_since >= _QUIET_SECONDS and lake_has(environ, records):
            return
        quiet = clock.monotonic() - quiet_since
        left = deadline - clock.monotonic()
        tell(f"{records:,} records on the stream, quiet for {quiet:.0f} s, {left:.0f} s left at most")
        wait(1.0)


def audited(
    environ: Mapping[str, str],
    ledger: Path,
    bounds: Bounds,
    *,
    within: float,
    wait: Wait,
    ignore_others: bool = False,
    clock: Clock = SYSTEM_CLOCK,
    tell: Callable[[str], None] = lambda _: None,
) -> tuple[Evidence, Audit]:
    """Looks until nothing is still to come, for `within` seconds at most; the last look, and its verdict."""
    deadline = clock.monotonic() + within
    while True:
        evidence = gather(environ, ledger)
        verdict = audit(evidence, bounds, ignore_others=ignore_others)
        if verdict.at_rest or clock.monotonic() >= deadline:
            return evidence, verdict
        tell(f"{len(verdict.waits):,} still to come, {deadline - clock.monotonic():.0f} s left at most")
        wait(_AGAIN_SECONDS)


def ledger_facts(directory: Path) -> tuple[Fact, ...]:
    from producers.load.ledger import read_ledger

    return tuple(
        Fact(
            entry.event_id,
            entry.event_type,
            entry.order_id,
            certain=entry.acknowledged_at is not None,
            at=entry.acknowledged_at,
            because_of=entry.because_of,
        )
        for entry in read_ledger(directory).entries
    )


def intended_events(directory: Path) -> frozenset[str]:
    """The ids of all events that the ledger knows, and of those that time may bring about for its orders."""
    from producers.load.ledger import may_expire, read_ledger

    entries = read_ledger(directory).entries
    placed = [entry for entry in entries if entry.event_type == EVENT_TYPES[OrderPlaced]]
    # guarantee: an order that expires is nothing unexpected
    expiries = [expiry for entry in placed for expiry in may_expire(entry)]
    return frozenset(entry.event_id for entry in (*entries, *expiries))


def stream_facts(environ: Mapping[str, str]) -> tuple[tuple[Fact, ...], tuple[BadRecord, ...]]:
    """Every user record that the stream retains: the readable ones as facts, and the others."""
    facts: list[Fact] = []
    unreadable: list[BadRecord] = []
    # Held against the lake's places: a stream that was made anew may have other names there.
    name_of = lake_names(environ, environ[variable("stream")])
    for shard_id, record in retained_records(environ):
        place = name_of(shard_id), record.sequence_number
        try:
            heard = header_of(record.data)
        except UnreadableEvent:
            unreadable.append(BadRecord(place, _read_by(record.data), record.arrived_at))
        else:
            facts.append(
                Fact(
                    heard.event_id,
                    heard.event_type,
                    heard.order_id,
                    place,
                    at=record.arrived_at,
                    because_of=heard.cause,
                )
            )
    return tuple(facts), tuple(unreadable)


def _read_by(data: bytes) -> frozenset[str]:
    """The consumers that cannot read these bytes; a step reads no more than the type of what it does not listen to."""
    refused = set(LAKE_FILLERS)
    for spec in CONSUMERS.values():
        if spec.listens_to:
            try:
                decode_only(spec.listens_to, data)
            except UnreadableEvent:
                refused.add(spec.name)
    return frozenset(refused)


def step_checkpoints(environ: Mapping[str, str]) -> dict[str, dict[str, Position]]:
    """How far each step is, by shard, as its leases say; nothing of one that keeps none, as on Lambda."""
    from consumers.engines.worker.leases import LeaseTable
    from consumers.settings import ConsumerSettings

    settings, dynamodb = from_environment(ConsumerSettings, environ), aws.client("dynamodb", environ)
    name_of = lake_names(environ, settings.stream)
    shards = listed_shards(aws.client("kinesis", environ), settings.stream)
    found: dict[str, dict[str, Position]] = {}
    for spec in CONSUMERS.values():
        if spec.fills_lake:
            continue
        try:
            leases = LeaseTable(dynamodb, settings.application(CONSUMERS[spec.reader]), "looking-on").list()
        except ClientError as error:
            if error_code(error) != "ResourceNotFoundException":
                raise
            continue
        checkpoints = {lease.shard_id: lease.checkpoint for lease in leases.values() if lease.trouble is None}
        reached = with_ended(checkpoints, shards)
        found[spec.name] = {name_of(shard_id): position for shard_id, position in reached.items()}
    return found


def paces(environ: Mapping[str, str]) -> dict[str, timedelta]:
    """How long each consumer may take until what it heard is done."""
    from analytics.settings import LakeSettings

    file_age = from_environment(LakeSettings, environ).lake_file_age
    # The checkpoint of a process is the least of those that are run in it.
    return {
        name: file_age if any(one.fills_lake for one in fed_by(CONSUMERS[spec.reader])) else timedelta(seconds=10)
        for name, spec in CONSUMERS.items()
    }


def set_apart(letters: Bucket, consumer: str, stream: str = "") -> frozenset[StreamPosition]:
    """The places of the records that the consumer set apart, also of those whose letters were dropped.

    Of one stream where it is named. What lies among the letters and is none has no place.
    """
    # guarantee: a record whose letter was dropped is accounted for
    prefixes = [f"{dropped}{consumer}/{stream}" for dropped in ("", DROPPED)]
    places = (letter_place(key) for prefix in prefixes for key in letters.keys(prefix))
    return frozenset(place for place in places if place is not None)


def intended_times(directory: Path) -> dict[str, datetime]:
    """When the load meant each command to be given, by the id of the command's event. None is for an expiry."""
    from producers.load.ledger import read_ledger

    commanded = (entry for entry in read_ledger(directory).entries if not entry.because_of)
    return {one.event_id: one.intended_at for one in commanded if one.event_type != EVENT_TYPES[OrderExpired]}
