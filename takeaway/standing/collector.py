"""Collects how the readers of a stream stand on its shards, from their lease tables and the stream itself."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from consumers.engines.worker.leases import Lease, LeaseTable, to_create
from foundation.clock import Clock, Wait
from foundation.error_codes import error_code
from foundation.kinesis import Sentinel, decoding, listed_shards
from takeaway.standing.lease_standing import standing_of, timed, waits_for, with_ahead
from takeaway.standing.shard_standing import ShardStanding
from takeaway.standing.stream_end import Ahead, ahead_of

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_kinesis import KinesisClient

# However many shards there are.
_SHARDS_SECONDS = 3.0
_GLANCE_SECONDS = 1.0
# A holder that has let one and a half renewals pass is late, and no longer only busy.
_RENEWALS = 1.5
_LONGEST_WATCH_SECONDS = 8.0
# How Kinesis names all shards.
_SHARD = "shardId-"
# At most, with an answer that takes its time.
LOOK_SECONDS = 2 * _SHARDS_SECONDS + _LONGEST_WATCH_SECONDS + 2


@dataclass(frozen=True)
class Reader:
    """Who reads the stream: a lease table, of a consumer of ours or of any application of the KCL.

    Its workers renew a lease every `renewal_seconds`. `start_at` is where it begins, if that is a moment. Where its
    workers keep no notes, it is looked at for `look_seconds`, to see whether it moves.
    """

    name: str
    lease_table: str
    renewal_seconds: float
    start_at: datetime | None = None
    look_seconds: float = 0.0


@dataclass(frozen=True)
class SeenReader:
    """What was seen of a reader. One without a lease table never ran, and has all of the stream before it."""

    ran: bool
    shards: tuple[ShardStanding, ...]


class Collector:
    """Looks at one stream. `now` is the back end's time at the start, which need not be ours."""

    def __init__(
        self, kinesis: "KinesisClient", dynamodb: "DynamoDBClient", stream: str, now: datetime, clock: Clock, wait: Wait
    ) -> None:
        self._kinesis = decoding(kinesis)
        self._dynamodb = dynamodb
        self._stream = stream
        self._now_at_start = now
        self._clock = clock
        self._wait = wait
        self._started = clock.monotonic()

    def look(self, reader: Reader) -> SeenReader:
        """How far it is, shard by shard. Watches its leases until all were renewed, or should have been.

        Raises what DynamoDB and Kinesis answer, but for a table that is not there.
        """
        table = LeaseTable(self._dynamodb, reader.lease_table, "looks on")
        started = self._clock.monotonic()
        try:
            before = self._leases(table)
        except ClientError as error:
            if error_code(error) != "ResourceNotFoundException":
                raise
            return SeenReader(ran=False, shards=self._never_read(reader))
        made_at = self._stream_made_at()
        missing = self._missing(before)
        ahead = self._ahead(before | missing, reader)
        after, renewed = self._watched(table, before, ahead, reader, started)
        looked = self._clock.monotonic() - started
        standings = {
            shard_id: standing_of(lease, after.get(shard_id, lease), ahead[shard_id], renewed.get(shard_id), made_at)
            for shard_id, lease in before.items()
        }
        standings = {
            shard_id: replace(
                timed(one, after.get(shard_id, before[shard_id]), self._now(), looked),
                waits_for=waits_for(before[shard_id], before),
            )
            for shard_id, one in standings.items()
        }
        again = {shard_id: after[shard_id] for shard_id, one in standings.items() if one.moved and one.unread}
        for shard_id, now in self._ahead(again, reader).items():
            was = standings[shard_id]
            standings[shard_id] = replace(with_ahead(was, now), waiting_seconds_before=was.waiting_seconds, moved=True)
        for shard_id, lease in missing.items():
            if ahead[shard_id].unread is False:
                continue
            # No worker has made its lease yet: it stands since its first record came.
            one = standing_of(lease, lease, ahead[shard_id], None, None)
            standings[shard_id] = replace(one, waits_for=waits_for(lease, before | missing), leased=False)
        return SeenReader(ran=True, shards=tuple(standings[shard_id] for shard_id in sorted(standings)))

    def _leases(self, table: LeaseTable) -> dict[str, Lease]:
        """Those of this stream, by shard. Rows of another stream, or of another program, are none."""
        found: dict[str, Lease] = {}
        for lease in table.list().values():
            if lease.stream in {None, self._stream} and _shard(lease.shard_id).startswith(_SHARD):
                own = replace(lease, shard_id=_shard(lease.shard_id), parents=frozenset(map(_shard, lease.parents)))
                found[own.shard_id] = own
        return found

    def _never_read(self, reader: Reader) -> tuple[ShardStanding, ...]:
        shards = listed_shards(self._kinesis, self._stream)
        leases = {shard.shard_id: Lease(shard.shard_id, Sentinel.TRIM_HORIZON) for shard in shards}
        ahead = self._ahead(leases, reader)
        return tuple(standing_of(lease, lease, ahead[shard_id], False, None) for shard_id, lease in leases.items())

    def _missing(self, leases: Mapping[str, Lease]) -> dict[str, Lease]:
        if not leases:
            return {}
        shards = listed_shards(self._kinesis, self._stream)
        made = to_create(shards, leases, Sentinel.TRIM_HORIZON, self._now())
        return {lease.shard_id: lease for lease in made}

    def _ahead(self, leases: Mapping[str, Lease], reader: Reader) -> dict[str, Ahead]:
        until = self._clock.monotonic() + _SHARDS_SECONDS
        found: dict[str, Ahead] = {}
        for shard_id, lease in sorted(leases.items()):
            if lease.trouble is not None or lease.finished:
                found[shard_id] = Ahead()
            elif self._clock.monotonic() > until:
                found[shard_id] = Ahead(unseen="there was no time left for it")
            else:
                found[shard_id] = ahead_of(
                    self._kinesis,
                    self._stream,
                    lease,
                    now=self._now(),
                    start_at=reader.start_at,
                    wait=self._wait,
                )
        return found

    def _watched(
        self,
        table: LeaseTable,
        before: Mapping[str, Lease],
        ahead: Mapping[str, Ahead],
        reader: Reader,
        started: float,
    ) -> tuple[Mapping[str, Lease], dict[str, bool | None]]:
        """The leases as they are at the end; whether each is kept alive, None when we had to stop looking."""
        watched = {shard_id for shard_id, lease in before.items() if not lease.finished}
        renewed: set[str] = set()
        after = before
        patience = reader.renewal_seconds * _RENEWALS
        until = started + min(patience + _GLANCE_SECONDS, _LONGEST_WATCH_SECONDS)
        # Without a note only a look that is long enough tells whether it moves.
        silent = {shard_id for shard_id in watched if not _tells_moves(before[shard_id]) and ahead[shard_id].unread}
        while (watched - renewed and self._clock.monotonic() < until) or (
            silent and self._clock.monotonic() < started + reader.look_seconds
        ):
            self._wait(_GLANCE_SECONDS)
            after = self._leases(table)
            silent -= {one for one in silent if one not in after or after[one].checkpoint != before[one].checkpoint}
            renewed |= {
                shard_id
                for shard_id, lease in after.items()
                if shard_id in watched and lease.holder and lease.counter != before[shard_id].counter
            }
        looked_long_enough = patience + _GLANCE_SECONDS <= _LONGEST_WATCH_SECONDS
        otherwise = False if looked_long_enough else None
        return after, {shard_id: True if shard_id in renewed else otherwise for shard_id in watched}

    def _stream_made_at(self) -> datetime | None:
        """None where we may not ask."""
        try:
            summary = self._kinesis.describe_stream_summary(StreamName=self._stream)
        except ClientError:
            return None
        return summary["StreamDescriptionSummary"]["StreamCreationTimestamp"].astimezone(UTC)

    def _now(self) -> datetime:
        return self._now_at_start + timedelta(seconds=self._clock.monotonic() - self._started)


def _shard(lease_key: str) -> str:
    """Of an application that reads several streams, a lease's key is `account:stream:creation:shard`."""
    return lease_key.rpartition(":")[2]


def _tells_moves(lease: Lease) -> bool:
    return lease.note is not None and lease.note.moved_at is not None
