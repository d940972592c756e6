"""lake verify, keep, compact, vacuum: look after the lake, and prove it right."""

import json
from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from foundation import aws
from foundation.diagnostics import json_lines
from foundation.settings import variable
from takeaway.commands.options import Json, stop_on_signal
from takeaway.stack import lake_told_in_one_line, require_lake, resolved
from takeaway.terminal import PlainConsole, counted, say, show_rows, waiting

if TYPE_CHECKING:
    from analytics.verification import StreamRecord


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
    with lake_told_in_one_line(environ), waiting("reading the log and every file"):
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
        rows = []
        with waiting(f"compacting {counted(len(chosen), 'day')}") as tell:
            for day in compacting.run(chosen):
                rows.append(_compacted(day))
                tell(f"{len(rows):,} done, the last was {day.day}")
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
    with lake_told_in_one_line(environ), waiting("looking for objects that no reader needs") as tell:
        require_lake(environ)
        cleaning = assembly.vacuum(environ)
        found = cleaning.removable(timedelta(hours=retention_hours))
        for number, one in enumerate(found if yes else (), start=1):
            cleaning.remove(one)
            tell(f"{number:,} of {len(found):,} removed")
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
