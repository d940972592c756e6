"""lake sql, files, ls: ask the lake, and see what is in it."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, cast

import typer

from takeaway.commands.options import Json
from takeaway.errors import UserError
from takeaway.stack import lake_told_in_one_line, resolved
from takeaway.terminal import (
    Form,
    PlainConsole,
    PlainOut,
    Tell,
    counted,
    new_file,
    piped,
    rows_of,
    say,
    show_rows,
    waiting,
    write_rows,
)

if TYPE_CHECKING:
    import pyarrow as pa

STDIN = "-"
_SPANS = "SELECT event_date, min(occurred_at) AS first, max(occurred_at) AS last FROM events GROUP BY event_date"


def sql(
    query: Annotated[str | None, typer.Argument(help="The SQL, where no file has it.", show_default=False)] = None,
    file: Annotated[
        str | None, typer.Option("--file", "-f", metavar="FILE", help="Read the SQL from there; - is standard input.")
    ] = None,
    as_json: Json = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    as_parquet: Annotated[bool, typer.Option("--parquet", help="Print a Parquet file.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="Write it there, by its ending: .csv, .parquet, .json or .tsv.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file of --out, if it is there.")] = False,
) -> None:
    """Run any SQL (DuckDB's) over the tables `events`, `orders` and `records`. In a pipe: tab-separated, nothing cut.

    As JSON an object a row: of columns of one name the second is `a_1`; NaN and infinities are text. Rows are written
    as they come, whatever their number; only for a terminal's table they are all in memory.

    Examples: takeaway lake sql "select event_type, count(*) from events group by all order by 2 desc"
    · takeaway lake sql -f question.sql --out answer.parquet
    """
    form = _form(out, {Form.JSON: as_json, Form.CSV: as_csv, Form.PARQUET: as_parquet})
    text = _text(query, file)
    to_terminal = out is None and sys.stdout.isatty()
    if to_terminal and form is Form.PARQUET:
        raise UserError("a Parquet file is nothing for a terminal", "--out FILE, or a pipe")
    if to_terminal and form is None:
        _show(text)
        return
    environ = resolved()
    with _told(), lake_told_in_one_line(environ), waiting("asking the lake") as tell, _out(out, overwrite) as file_out:
        from analytics.lake import Lake

        with Lake.from_environment(environ).stream(text) as (schema, batches):
            rows = write_rows(form or Form.TSV, schema, _counted(batches, tell), file_out)
    if out is not None:
        say(f"{counted(rows, 'row')}, {out.stat().st_size:,} bytes: {out}")


def _show(text: str) -> None:
    from analytics.lake import Lake

    environ = resolved()
    with _told(), lake_told_in_one_line(environ), waiting("asking the lake"):
        answer = Lake.from_environment(environ).sql(text)
    names, rows = rows_of(answer)
    show_rows(names, rows, PlainConsole())


@contextmanager
def _told() -> Iterator[None]:
    """Around what DuckDB runs: what it says about the SQL, with a fix."""
    import duckdb

    try:
        yield
    except duckdb.Error as error:
        raise UserError(
            f"that SQL does not run: {error}",
            "the tables are `events`, `orders` and `records`; `describe orders` names its columns",
        ) from error


def _form(out: Path | None, asked: dict[Form, bool]) -> Form | None:
    """What the options say, or the file's ending; None where neither does. Raises `UserError` for more than one."""
    chosen = [form for form, is_asked in asked.items() if is_asked]
    if len(chosen) > 1:
        raise UserError(f"{' and '.join(f'--{one}' for one in chosen)} exclude each other", "give one of them")
    if chosen or out is None:
        return chosen[0] if chosen else None
    try:
        return Form(out.suffix.removeprefix(".").lower())
    except ValueError as error:
        endings = ", ".join(f".{form}" for form in Form)
        raise UserError(
            f"the name {out} does not say what is to be written", f"let it end with one of {endings}, or say --csv"
        ) from error


def _text(query: str | None, file: str | None) -> str:
    if query is not None and file is not None:
        raise UserError("there is SQL in the command and in --file", "give one of them")
    if query is not None:
        return query
    if file is None:
        raise UserError(
            "there is no SQL", 'takeaway lake sql "select count(*) from events", or --file FILE, or --file -'
        )
    try:
        return sys.stdin.buffer.read().decode() if file == STDIN else Path(file).read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot read {file}: {error.strerror}", "name a file that is there, or - for the input") from (
            error
        )
    except UnicodeDecodeError as error:
        raise UserError(f"{file} is no text in UTF-8: {error}", "write the SQL in UTF-8") from error


@contextmanager
def _out(path: Path | None, overwrite: bool) -> Iterator[BinaryIO]:
    if path is not None:
        with new_file(path, overwrite=overwrite) as file:
            yield file
    else:
        yield cast("BinaryIO", PlainOut()) if sys.stdout.isatty() else sys.stdout.buffer


def _counted(batches: "Iterator[pa.RecordBatch]", tell: Tell) -> "Iterator[pa.RecordBatch]":
    rows = 0
    for batch in batches:
        yield batch
        rows += batch.num_rows
        tell(f"{counted(rows, 'row')} so far")


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
    with lake_told_in_one_line(environ), waiting("asking the lake"):
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
