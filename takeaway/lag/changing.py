"""What has changed between two looks, as lines to be told: a verdict that is another one. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from takeaway.lag.facts import ReaderLag
from takeaway.standing import Judgement, Verdict

_UNKNOWN = "unknown"


@dataclass(frozen=True)
class Change:
    """A verdict that was not there at the look before. `shard_id` is empty where the reader could not be seen."""

    at: datetime
    reader: str
    shard_id: str
    before: str | None
    now: str
    why: str = ""
    fix: str = ""


def changes(at: datetime, before: Sequence[ReaderLag], now: Sequence[ReaderLag]) -> Iterator[Change]:
    """Of the first look, with nothing before it, every verdict."""
    was = {key: verdict for key, (verdict, _) in _verdicts(before).items()}
    for (reader, shard_id), (verdict, judgement) in _verdicts(now).items():
        earlier = was.get((reader, shard_id))
        if earlier != verdict:
            yield Change(at, reader, shard_id, earlier, verdict, judgement.why, judgement.fix)


def _verdicts(readers: Sequence[ReaderLag]) -> dict[tuple[str, str], tuple[str, Judgement]]:
    found: dict[tuple[str, str], tuple[str, Judgement]] = {}
    for reader in readers:
        if reader.trouble is not None:
            unseen = Judgement(Verdict.WARN, reader.trouble, "allow this identity to scan the table, or look again")
            found[reader.name, ""] = _UNKNOWN, unseen
        for one in reader.shards:
            found[reader.name, one.standing.shard_id] = one.judgement.verdict.value, one.judgement
    return found
