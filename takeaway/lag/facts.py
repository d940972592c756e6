"""What one look at the readers of a stream came to, as values, rows and JSON."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import msgspec

from takeaway.standing import Judgement, ShardStanding, Verdict
from takeaway.terminal import roughly

_WORST_FIRST = (Verdict.STOPPED, Verdict.STALLED, Verdict.WARN, Verdict.OK)


@dataclass(frozen=True)
class ShardLag:
    """How a reader stands on a shard, and the verdict on that."""

    standing: ShardStanding
    judgement: Judgement


@dataclass(frozen=True)
class ReaderLag:
    """A reading application. `trouble` says why its leases or the stream could not be looked at.

    One that never `ran` has no lease table, and all of the stream before it.
    """

    name: str
    lease_table: str
    ran: bool = True
    shards: tuple[ShardLag, ...] = ()
    trouble: str | None = None

    @property
    def is_problem(self) -> bool:
        """Whether somebody has to do something: also where it could not be seen."""
        return self.trouble is not None or any(one.judgement.is_problem for one in self.shards)

    @property
    def verdict(self) -> Verdict | None:
        """The worst of its shards'; None where it could not be seen."""
        if self.trouble is not None:
            return None
        found = {one.judgement.verdict for one in self.shards}
        return next((verdict for verdict in _WORST_FIRST if verdict in found), Verdict.OK)


def rows(readers: Sequence[ReaderLag]) -> list[dict[str, object]]:
    """A row for each shard of each reader; one for a reader that could not be seen."""
    found = []
    for reader in readers:
        if reader.trouble is not None:
            found.append(_row(reader, "", "unknown", "", ""))
        for one in reader.shards:
            standing = one.standing
            found.append(_row(reader, standing.shard_id, one.judgement.verdict.value, _unread(standing), _by(standing)))
    return found


def as_facts(stream: str, readers: Sequence[ReaderLag]) -> dict[str, Any]:
    return {
        "stream": stream,
        "ok": not any(reader.is_problem for reader in readers),
        "readers": [
            {
                "name": reader.name,
                "lease_table": reader.lease_table,
                "verdict": reader.verdict.value if reader.verdict else None,
                "ran": reader.ran,
                "trouble": reader.trouble,
                "shards": [
                    {**msgspec.to_builtins(one.judgement), **msgspec.to_builtins(one.standing)} for one in reader.shards
                ],
            }
            for reader in readers
        ],
    }


def _row(reader: ReaderLag, shard: str, verdict: str, unread: str, by: str) -> dict[str, object]:
    return {"reader": reader.name, "shard": shard, "verdict": verdict, "unread for": unread, "read by": by}


def _unread(standing: ShardStanding) -> str:
    if standing.finished:
        return "read to its end"
    if standing.waits_for:
        return "waits for its parent"
    if standing.unread is None:
        return "unknown"
    if not standing.unread:
        return "-"
    return roughly(timedelta(seconds=standing.waiting_seconds or 0.0))


def _by(standing: ShardStanding) -> str:
    if standing.owner is None or standing.finished:
        return ""
    # Its end tells workers apart; JSON has all of it.
    return standing.owner if len(standing.owner) <= 13 else f"…{standing.owner[-12:]}"
