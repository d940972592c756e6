"""Gathers what is known of one order: lake, orders table, stream, dead letters, remembered effects. Reads only."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

from botocore.exceptions import BotoCoreError, ClientError

from analytics.assembly import bucket_and_log, lake_names
from analytics.lake import Lake, NoLake
from analytics.table import ShardPaths, read_offsets
from consumers.processing import Unavailable
from consumers.settings import ConsumerSettings
from consumers.specs import CONSUMERS
from consumers.steps import DynamoDBOutcomes, read_outcome, recalled
from events import EVENT_TYPES, Header, UnreadableEvent, accept_by_of, header_of
from foundation import aws
from foundation.clock import Clock, Wait
from foundation.error_codes import error_code
from foundation.kinesis import SequenceNumber, Shard, StreamPosition
from foundation.settings import from_environment, variable
from producers.assembly import orders_table
from takeaway.audit import stream_shards
from takeaway.errors import UserError
from takeaway.stack import lake_told_in_one_line, reason
from takeaway.trace.facts import Looked, OrderFacts, Remembered, SetApart, Sighting, Source
from takeaway.trace.letters import letters_of
from takeaway.trace.stream import OnStream, StreamReader, order_on_stream, shards_of

# Before the first that is known of an order: clocks disagree, and a repeat may have come first.
MARGIN = timedelta(minutes=1)
# https://docs.aws.amazon.com/streams/latest/dev/kinesis-extended-retention.html
LONGEST_RETENTION = timedelta(days=365)
_ENVELOPE = list(Header.__struct_fields__)
_ACCEPT_BY = "accept_by"
_PLACE = ["_shard", "_sequence_number", "_sub_sequence_number", "_arrived_at"]


def order_facts(environ: Mapping[str, str], order_id: str, *, within: float, clock: Clock, wait: Wait) -> OrderFacts:
    """All that is found now; the stream is read for `within` seconds at most. Raises `UserError` where nothing answers.

    What one store does not answer is told in `looked`, and hides nothing of the others.
    """
    not_looked: list[str] = []
    name_of = lake_names(environ, environ[variable("stream")])
    shards = _shards(environ, order_id, not_looked)
    archived = _archived(environ, [name_of(shard.shard_id) for shard in shards])
    # What is committed in between is read from both.
    # guarantee: a trace opens the lake after it has asked how far the lake is
    version, rows = _in_lake(environ, order_id)
    stored = _stored(environ, order_id, not_looked)
    moments = [*(one.arrived_at for one in rows if one.arrived_at), *(one.header.occurred_at for one in stored)]
    since = since_when(moments, clock.now())
    reader = StreamReader(environ, order_id, since=since, within=within, clock=clock, wait=wait)
    try:
        stream = order_on_stream(reader, shards, archived=archived, name_of=name_of)
    except UserError as error:
        not_looked.append(f"the stream: {error.what}")
        stream = OnStream()
    sightings = (*rows, *stored, *stream.sightings)
    places = {one.place for one in sightings if one.place} | {one.place for one in stream.unreadable}
    letters, count, unread = _letters(environ, order_id, places, not_looked)
    remembered = _remembered(environ, sightings, not_looked, clock, wait)
    return OrderFacts(
        order_id=order_id,
        sightings=sightings,
        unreadable=stream.unreadable,
        set_apart=tuple(letters),
        remembered=tuple(remembered),
        archived=archived,
        looked=Looked(version, stream.read, count, unread, tuple(not_looked)),
    )


def since_when(moments: Sequence[datetime], now: datetime) -> datetime | None:
    """A little before the first of these, as a time that Kinesis takes: none to come, none older than it keeps records.

    What history or a clock says may lie anywhere between the years 1 and 9999.
    """
    if not moments:
        return None
    return min(max(min(moments), now - LONGEST_RETENTION) - MARGIN, now - MARGIN)


def _letters(
    environ: Mapping[str, str], order_id: str, places: Collection[StreamPosition], not_looked: list[str]
) -> tuple[list[SetApart], int, int]:
    try:
        return letters_of(environ, order_id, places)
    except (ClientError, BotoCoreError) as error:
        not_looked.append(f"the dead letters: {reason(error)}")
        return [], 0, 0


def _shards(environ: Mapping[str, str], order_id: str, not_looked: list[str]) -> list[Shard]:
    try:
        return shards_of(order_id, stream_shards(environ), environ)
    except UserError as error:
        not_looked.append(f"the stream: {error.what}")
        return []


def _archived(environ: Mapping[str, str], shards: Sequence[str]) -> dict[str, SequenceNumber]:
    """By shard, the last place that the lake accounts for."""
    bucket, _ = bucket_and_log(environ)
    with lake_told_in_one_line(environ):
        held = {
            shard: read_offsets(bucket, ShardPaths(environ[variable("stream")], shard).offsets_key) for shard in shards
        }
    return {shard: one.offsets.hi for shard, one in held.items() if one is not None and one.offsets.hi is not None}


def _in_lake(environ: Mapping[str, str], order_id: str) -> tuple[int | None, list[Sighting]]:
    """Every row of the order, repeats too, and of which version of the lake; no names and addresses."""
    import pyarrow.dataset as ds

    with lake_told_in_one_line(environ):
        try:
            lake = Lake.from_environment(environ)
        except NoLake:
            return None, []
        of_order = ds.field("order_id") == order_id
        dataset = lake.dataset()
        # A table that no archiver of this release has opened lacks the newest columns.
        columns = [name for name in (*_ENVELOPE, *_PLACE, _ACCEPT_BY) if name in dataset.schema.names]
        rows = dataset.to_table(columns=columns, filter=of_order).to_pylist()
    return lake.version, [
        Sighting(
            Header(**{name: row[name] for name in _ENVELOPE}),
            Source.LAKE,
            (row["_shard"], SequenceNumber(row["_sequence_number"], row["_sub_sequence_number"])),
            row["_arrived_at"],
            accept_by=row.get(_ACCEPT_BY),
        )
        for row in rows
    ]


def _stored(environ: Mapping[str, str], order_id: str, not_looked: list[str]) -> list[Sighting]:
    """What the orders API stored of the order's commands, published or not."""
    try:
        order = orders_table(environ).get(order_id)
    except (ClientError, BotoCoreError, UnreadableEvent) as error:
        not_looked.append(f"the orders table: {reason(error)}")
        return []
    history = order.history if order else ()
    return [
        Sighting(
            header_of(performed.encoded.data),
            Source.ORDERS_TABLE,
            acknowledged=performed.acknowledged,
            accept_by=accept_by_of(performed.encoded.envelope.event),
        )
        for performed in history
    ]


def _remembered(
    environ: Mapping[str, str], sightings: Sequence[Sighting], not_looked: list[str], clock: Clock, wait: Wait
) -> list[Remembered]:
    """The effects that each consumer's outcomes tell of, for the events that its steps listen to."""
    settings = from_environment(ConsumerSettings, environ)
    found: list[Remembered] = []
    heard = {one.header.event_id: one.header for one in sightings}
    for spec in CONSUMERS.values():
        types = {EVENT_TYPES[event] for event in spec.listens_to}
        listened = [one for one in heard.values() if one.event_type in types]
        if not listened:
            continue
        outcomes = DynamoDBOutcomes(
            aws.client("dynamodb", environ),
            settings.outcomes_table,
            settings.application(spec),
            keep=settings.keep_outcomes,
            clock=clock,
            wait=wait,
        )
        try:
            for (_, event_id), outcome in recalled(outcomes, listened).items():
                found += _effects(spec.name, event_id, outcome)
        except (ClientError, BotoCoreError, Unavailable, UnreadableEvent) as error:
            not_looked.append(f"the outcomes of {spec.name}: {error_code(error) or reason(error)}")
    return found


def _effects(consumer: str, heard: str, outcome: bytes) -> list[Remembered]:
    """One for each event that the outcome tells; of an effect alone, one where it took several attempts."""
    read = read_outcome(outcome)
    if not read.follows and read.attempts:
        return [Remembered(consumer, heard, None, attempts=read.attempts)]
    return [
        Remembered(
            consumer,
            heard,
            header_of(told.data),
            channel=getattr(told.envelope.event, "channel", None),
            message_id=getattr(told.envelope.event, "message_id", None),
            attempts=read.attempts,
        )
        for told in read.follows
    ]
