"""What the lake has, read through its log."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from foundation import aws
from foundation.kinesis import Position, SequenceNumber
from foundation.settings import variable
from takeaway.audit.facts import Fact

if TYPE_CHECKING:
    from deltalake import DeltaTable


@dataclass(frozen=True)
class LakeEvidence:
    """One version of the lake: its rows, how many records its log says it dropped, and how far it has come by shard.

    `dropped` is None where the log no longer tells all of its commits.
    """

    rows: tuple[Fact, ...] = ()
    dropped: int | None = 0
    reached: Mapping[str, Position] = field(default_factory=dict)


def lake_evidence(environ: Mapping[str, str]) -> LakeEvidence:
    """Every row that a reader of the lake sees, and what its log says of them; nothing before the first commit."""
    from deltalake import DeltaTable
    from deltalake.exceptions import TableNotFoundError

    from analytics.table import ShardPaths, logged_commits, table_uri

    try:
        table = DeltaTable(table_uri(environ[variable("lake_bucket")]), storage_options=aws.storage_options(environ))
    except TableNotFoundError:
        return LakeEvidence()
    reached: dict[str, Position] = {}
    dropped, oldest = 0, table.version()
    for commit in logged_commits(table):
        oldest = commit.version
        for application, entry in commit.entries.items():
            dropped += entry.dropped
            shard = ShardPaths.of(application)
            if shard is not None and shard.stream == environ[variable("stream")] and entry.hi is not None:
                reached.setdefault(shard.shard_id, entry.hi)
    return LakeEvidence(_rows(table, environ), None if oldest else dropped, reached)


def _rows(table: "DeltaTable", environ: Mapping[str, str]) -> tuple[Fact, ...]:
    from analytics.reading import LiveFiles, lake_filesystem

    files = LiveFiles(table, lake_filesystem(table.table_uri, aws.storage_options(environ)))
    columns = ["event_id", "event_type", "order_id", "_shard", "_sequence_number", "_sub_sequence_number"]
    return tuple(
        Fact(
            row["event_id"],
            row["event_type"],
            row["order_id"],
            (row["_shard"], SequenceNumber(row["_sequence_number"], row["_sub_sequence_number"])),
        )
        for row in files.dataset(files.all).to_table(columns=columns).to_pylist()
    )


def lake_rows(environ: Mapping[str, str]) -> int:
    """How many rows a reader of the lake sees."""
    from analytics.lake import Lake, NoLake

    try:
        return Lake.from_environment(environ).dataset().count_rows()
    except NoLake:
        return 0


def lake_has(environ: Mapping[str, str], records: int) -> bool:
    """Whether the lake accounts for so many records: each is a row, or was dropped."""
    rows = lake_rows(environ)
    return rows >= records or rows + (lake_evidence(environ).dropped or 0) >= records
