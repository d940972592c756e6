"""lake ls, files, sql, verify, keep, compact, vacuum: query the lake, look after it, and prove it right."""

import json
from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from foundation import aws
from foundation.diagnostics import json_lines
from foundation.settings import variable
from takeaway.commands.options import Json, stop_on_signal
from takeaway.errors import UserError
from takeaway.stack import lake_told_in_one_line, require_lake, resolved
from takeaway.terminal import PlainConsole, counted, jsonable, piped, rows_of, say, show_rows

if TYPE_CHECKING:
    from analytics.verification import StreamRecord

_SPANS = "SELECT event_date, min(occurred_at) AS first, max(occurred_at) AS last FROM events GROUP BY event_date"


def sql(query: str, as_json: Json = False) -> None:
    """Run any SQL (DuckDB's) over the tables `events`, `orders` and `records`. In a pipe: tab-separated, nothing cut.

    As JSON an object a row: of columns of one name the second is `a_1`; NaN and infinities are text.
    Example: takeaway lake sql "select event_type, count(*) from events group by all order by 2 desc"
    """
    import duckdb

    from analytics.lake import Lake

    environ = resolved()
    try:
        with lake_told_in_one_line(environ):
            answer = Lake.from_environment(environ).sql(query)
    except duckdb.Error as error:
        raise UserError(
            f"that SQL does not run: {error}",
            "the tables are `events`, `orders` and `records`; `describe orders` names its columns",
        ) from error
    names, rows = rows_of(answer)
    if as_json:
        say(json.dumps(jsonable(rows), allow_nan=False))
    else:
        show_rows(names, rows, PlainConsole())


def files(as_json: Json = False) -> None:
    """Print the address of every Parquet file that counts now, a line each, for readers that know no Delta log.

    Example: takeaway lake files
    """
    from analytics.lake import Lake

    environ = resolved()
    with lake_told_in_one_line(environ):
        addresses = Lake.from_environment(environ).files()
    say(json.dumps(addresses) if as_json else "\n".join(addresses))


def ls(as_json: Json = False) -> None:
    """List the days: files, rows, bytes of Parquet, the first and last event, and whether they are compacted.

    Example: takeaway lake ls
    """
    from analytics.assembly import bucket_and_log
    from analytics.lake import Lake
    from analytics.table import is_compacted

    environ = resolved()
    with lake_told_in_one_line(environ):
        spans = {row["event_date"]: row for row in Lake.from_environment(environ).sql(_SPANS).to_pylist()}
        files = bucket_and_log(environ)[1].snapshot().all_files()
    rows = []
    for day in sorted({file.day for file in files}):
        of_day = [file for file in files if file.day == day]
        span = spans.get(day, {"first": None, "last": None})
        rows.append(
            {
                "day": day.isoformat(),
                "files": len(of_day),
                "rows": sum(file.rows for file in of_day),
                "bytes": sum(file.size for file in of_day),
                "first": span["first"],
                "last": span["last"],
                "compacted": all(is_compacted(file.path) for file in of_day),
            }
        )
    if as_json:
        say(json.dumps(rows, default=piped))
    else:
        show_rows(tuple(rows[0]), rows, PlainConsole())


def verify(
    against_stream: Annotated[
        bool, typer.Option("--against-stream", help="Also look for each record that the stream still retains.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Prove, from log, footers and rows, that the lake has every record once. Exit 1 on a finding. Changes nothing.

    Every file is there with its size and its rows, every range follows the one before, no record is there twice, and
    duplicates that were removed are accounted for. Example: takeaway lake verify --against-stream
    """
    from analytics.assembly import bucket_and_log
    from analytics.verification import verify as prove

    environ = resolved()
    with lake_told_in_one_line(environ), PlainConsole(stderr=True).status("reading the log and every file"):
        bucket, log = bucket_and_log(environ)
        verified = prove(bucket, log, _retained(environ) if against_stream else None)
    if as_json:
        found = [{"kind": one.kind.label, "what": one.what, "fix": one.fix} for one in verified.findings]
        say(json.dumps({"ok": verified.ok, "counts": verified.counts, "findings": found}))
    else:
        for one in verified.findings:
            say(f"{one.kind.label}: {one.what}\n  fix: {one.fix}")
        told = [f"{number:,} {_in_number(name, number)}" for name, number in verified.counts.items()]
        say(" · ".join([*told, "sound" if verified.ok else counted(len(verified.findings), "finding")]))
    raise typer.Exit(0 if verified.ok else 1)


def _in_number(name: str, number: int) -> str:
    """`days` of 2, `day` of 1."""
    first, _, others = name.partition("_")
    return " ".join(filter(None, (first.removesuffix("s") if number == 1 else first, others.replace("_", " "))))


def compact(
    days: Annotated[
        list[datetime] | None,
        typer.Option("--day", formats=["%Y-%m-%d"], help="This day, sealed or not; may be given several times."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say which days are due; change nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Make few sorted files of the many small ones of a day, without the events that came twice.

    Of the days that are sealed, six hours after their end, and those with more than 200 small files. Safe beside
    archivers and other compactions. Example: takeaway lake compact --day 2026-03-14
    """
    from analytics.assembly import compactor

    environ = resolved()
    with lake_told_in_one_line(environ):
        require_lake(environ)
        compacting = compactor(environ, json_lines("lake"))
        chosen = [moment.date() for moment in days or ()] or compacting.due()
        if dry_run:
            _tell_days(chosen, as_json)
            return
        with PlainConsole(stderr=True).status(f"compacting {counted(len(chosen), 'day')}"):
            rows = [_compacted(day) for day in compacting.run(chosen)]
    if as_json:
        say(json.dumps(rows))
    elif rows:
        show_rows(tuple(rows[0]), rows, PlainConsole())
    else:
        say("nothing to compact")


def vacuum(
    retention_hours: Annotated[
        int, typer.Option(min=2, help="Keep what was replaced less than so many hours ago: the longest query's time.")
    ] = 24,
    yes: Annotated[bool, typer.Option("--yes", help="Remove them. Without it, only say what would go.")] = False,
    as_json: Json = False,
) -> None:
    """Remove objects that the log no longer needs, or never came to know. Says what would go; --yes removes it.

    Never goes: the offsets, the log, files of a batch under way, and what takeaway did not write.
    Example: takeaway lake vacuum --yes
    """
    from analytics import assembly

    environ = resolved()
    with lake_told_in_one_line(environ):
        require_lake(environ)
        cleaning = assembly.vacuum(environ)
        found = cleaning.removable(timedelta(hours=retention_hours))
        for one in found if yes else ():
            cleaning.remove(one)
    if as_json:
        rows = [{"key": one.key, "bytes": one.size, "why": one.why} for one in found]
        say(json.dumps({"removed": yes, "objects": rows}))
        return
    if found:
        show_rows(
            ("key", "bytes", "why"),
            [{"key": one.key, "bytes": one.size, "why": one.why} for one in found],
            PlainConsole(),
        )
    size = sum(one.size for one in found)
    told = f"{counted(len(found), 'object')} of {size:,} bytes"
    say(f"removed {told}" if yes else f"would remove {told}; nothing was changed. --yes removes")


def keep(
    once: Annotated[bool, typer.Option("--once", help="One round, for a scheduler.")] = False,
    minutes: Annotated[float, typer.Option("--every", min=0.1, help="Minutes between two rounds.")] = 10,
    retention_hours: Annotated[int, typer.Option(min=2, help="As of `takeaway lake vacuum`.")] = 24,
) -> None:
    """Keep the lake until SIGTERM or Ctrl-C: compact what is due, clean its log, remove what no reader needs any more.

    `takeaway up` runs one. Safe beside archivers, commands and other keepers, and safe to kill at any moment; what goes
    wrong is told and tried again in the next round. Example: takeaway lake keep --once
    """
    from analytics.assembly import keeper

    environ, stop = resolved(), stop_on_signal()
    emit = json_lines("keeper")
    keeping = keeper(environ, emit, retention=timedelta(hours=retention_hours), stopping=stop.is_set)
    if once:
        with lake_told_in_one_line(environ):
            require_lake(environ)
            for failure in keeping.round():
                raise failure
        return
    keeping.run(stop.wait, timedelta(minutes=minutes))


def _retained(environ: Mapping[str, str]) -> "Iterator[StreamRecord]":
    from analytics.assembly import lake_names
    from analytics.verification import StreamRecord
    from consumers.specs import LAKE_FILLERS
    from foundation.bucket import Bucket
    from takeaway.audit import retained_records, set_apart

    letters = Bucket(aws.client("s3", environ), environ[variable("dead_letter_bucket")])
    stream = environ[variable("stream")]
    apart = frozenset(place for name in LAKE_FILLERS for place in set_apart(letters, name, f"{stream}/"))
    name_of = lake_names(environ, stream)
    for shard_id, record in retained_records(environ):
        place = name_of(shard_id), record.sequence_number
        yield StreamRecord(*place, record.data, place in apart)


def _compacted(day: Any) -> dict[str, Any]:
    return {
        "day": day.day.isoformat(),
        "files": day.files_before,
        "files_now": day.files_after,
        "bytes": day.size_before,
        "bytes_now": day.size_after,
        "rows": day.rows_after,
        "duplicates_removed": day.dropped,
    }


def _tell_days(days: list[date], as_json: bool) -> None:
    if as_json:
        say(json.dumps([day.isoformat() for day in days]))
    else:
        say("\n".join(day.isoformat() for day in days) or "no day is due")
