"""lake backfill: history from a file into the lake."""

import hashlib
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from takeaway.commands.options import Json
from takeaway.errors import UserError
from takeaway.stack import HOME, lake_told_in_one_line, require_log, resolved
from takeaway.terminal import PlainConsole, say, waiting

STDIN = "-"
_BLOCK = 1024 * 1024


def backfill(
    file: Annotated[str, typer.Argument(help="One wire event a line, as JSON; - reads them from the standard input.")],
    backfill_id: Annotated[
        str | None, typer.Option("--id", help="The history's name; by default a hash of the file's content.")
    ] = None,
    bad_lines: Annotated[
        Path | None, typer.Option(help="Where lines go that are no events; by default <file>.bad-lines.jsonl.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Load history into the lake, once: load again after a kill, or at any time, and only what is missing comes.

    Events that the lake has already are left out. Rows have `_shard` backfill/<id> and the line's number for a place.
    Exit 1 when some lines are no events. Example: takeaway lake backfill history.jsonl
    """
    from analytics import assembly

    environ = resolved()
    with waiting(f"reading {file} for its name"):
        name = _name(file, backfill_id)
    apart = _bad_lines(file, name, bad_lines)
    with lake_told_in_one_line(environ), _opened(file) as (stream, size), _bar(file, size) as advance:
        require_log(environ)
        loading = assembly.backfill(environ, lambda _: None, assembly.customer_keys(environ))
        loaded = loading.load(name, stream, set_apart=apart.add, progress=advance)
    facts = {
        "id": name,
        "lines": loaded.lines,
        "rows": loaded.rows,
        "loaded_before": loaded.present,
        "duplicates": loaded.duplicates,
        "empty": loaded.empty,
        "bad": apart.count,
    }
    if as_json:
        say(json.dumps({**facts, "bad_lines": str(apart.path) if apart.count else None}))
    else:
        say(
            " · ".join(
                f"{value:,} {key.replace('_', ' ')}" if isinstance(value, int) else value
                for key, value in facts.items()
            )
        )
        if apart.count:
            say(f"lines that are no events, with their numbers and what is wrong: {apart.path}")
    raise typer.Exit(1 if apart.count else 0)


def _name(file: str, given: str | None) -> str:
    if given is not None:
        if not given or "/" in given:
            raise UserError(f"{given!r} is no name for a history", "give --id some letters, without a slash")
        return given
    if file == STDIN:
        raise UserError(
            "a history from the standard input has no name", "give one with --id, the same when loading again"
        )
    digest = hashlib.sha256()
    with _history(file) as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()[:16]


def _bad_lines(file: str, name: str, given: Path | None) -> Any:
    from takeaway.terminal import BadLines

    default = HOME / f"{name}.bad-lines.jsonl" if file == STDIN else Path(f"{file}.bad-lines.jsonl")
    path = given or default
    path.parent.mkdir(parents=True, exist_ok=True)
    return BadLines(path)


def _history(file: str) -> BinaryIO:
    try:
        return Path(file).open("rb")
    except OSError as error:
        raise UserError(
            f"cannot read {file}: {error.strerror}", "name a file that is there, or - for the input"
        ) from error


@contextmanager
def _opened(file: str) -> Iterator[tuple[BinaryIO, int | None]]:
    if file == STDIN:
        yield sys.stdin.buffer, None
        return
    with _history(file) as stream:
        yield stream, Path(file).stat().st_size


@contextmanager
def _bar(file: str, size: int | None) -> Iterator[Any]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=PlainConsole(stderr=True), transient=True) as progress:
        task = progress.add_task(Path(file).name, total=size)
        yield lambda done: progress.advance(task, done)
