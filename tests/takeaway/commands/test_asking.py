"""lake sql: SQL from a file, answers into files and pipes in four forms, and what is refused."""

import csv
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from analytics.lake import Lake
from takeaway import cli
from takeaway.commands.lake import asking
from takeaway.errors import UserError
from takeaway.terminal import write_rows
from tests.support.lake_rows import GOOD, an_order
from tests.support.worlds.lake_folder import FolderLake

pytestmark = pytest.mark.slow

ODD = (
    "select interval 1 day i, 2 a, 3 a, [1, 2] l, {'x': 0/0} s, timestamptz 'infinity' t, 'q\"u,\n' q, null n, "
    "timestamptz '2026-01-01 12:00:00.5' m, 1.50::decimal(9, 2) d, '\\xAA'::blob b, date '2026-03-14' as dd, true y, "
    "'' e"
)


@pytest.fixture(autouse=True)
def queried(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = FolderLake(tmp_path / "events")
    folder.archive(*an_order(*GOOD, total=1900))
    monkeypatch.setattr(asking, "resolved", dict)
    monkeypatch.setattr(Lake, "from_environment", lambda _: folder.lake())


def sql(*arguments: str, given: str | None = None) -> Any:
    return CliRunner().invoke(cli.app, ["lake", "sql", *arguments], input=given)


def refused(*arguments: str, given: str | None = None) -> UserError:
    error = sql(*arguments, given=given).exception
    assert isinstance(error, UserError), error
    return error


def test_sql_comes_from_a_file_or_the_standard_input(tmp_path: Path) -> None:
    question = tmp_path / "question.sql"
    question.write_text("-- which?\nselect 'é' as a", encoding="utf-8")
    assert sql("-f", str(question)).stdout == "a\né\n"
    assert sql("--file", "-", given="select 2 as b").stdout == "b\n2\n"


def test_csv_says_each_value_as_other_programs_read_it() -> None:
    done = sql(ODD, "--csv")
    names, row = csv.reader(io.StringIO(done.stdout))
    assert dict(zip(names, row, strict=True)) == {
        "i": "1 day",
        "a": "2",
        "a_1": "3",
        "l": "[1, 2]",
        "s": '{"x": "NaN"}',
        "t": "infinity",
        "q": 'q"u,\n',
        "n": "",
        "m": "2026-01-01T12:00:00.500000Z",
        "d": "1.50",
        "b": "\\xAA",
        "dd": "2026-03-14",
        "y": "true",
        "e": "",
    }
    assert done.stdout.endswith(',true,""\n')


def test_parquet_keeps_the_types(tmp_path: Path) -> None:
    out = tmp_path / "answer.parquet"
    assert sql(ODD, "--out", str(out)).stdout == f"1 row, {out.stat().st_size:,} bytes: {out}\n"
    answer = pq.read_table(out)
    assert (answer.column_names[:3], answer["i"].to_pylist()) == (["i", "a", "a_1"], ["1 day"])
    assert answer.schema.field("l").type == pa.list_(pa.int32())
    assert answer.schema.field("m").type == pa.timestamp("us", "UTC") or answer.schema.field("m").type.tz
    assert answer["b"].to_pylist() == [b"\xaa"]
    piped = sql("select * from orders", "--parquet").stdout_bytes
    assert pq.read_table(io.BytesIO(piped))["total"].to_pylist() == [1900]


@pytest.mark.parametrize("form", ["csv", "json", "tsv"])
def test_a_file_has_what_a_pipe_has(form: str, tmp_path: Path) -> None:
    out = tmp_path / f"answer.{form.upper()}"
    query = "select event_type, occurred_at from events order by 2"
    assert sql(query, "--out", str(out)).exit_code == 0
    flags = [] if form == "tsv" else [f"--{form}"]
    assert out.read_bytes() == sql(query, *flags).stdout_bytes


@pytest.mark.parametrize("form", ["csv", "json", "tsv", "parquet"])
def test_an_answer_without_rows_is_whole_too(form: str, tmp_path: Path) -> None:
    out = tmp_path / f"answer.{form}"
    assert sql("select 1 as a where false", "--out", str(out)).stdout.startswith("0 rows, ")
    whole = {"csv": b'"a"\n', "json": b"[]\n", "tsv": b"a\n"}
    if form == "parquet":
        assert pq.read_table(out).schema.names == ["a"]
    else:
        assert out.read_bytes() == whole[form]


def test_many_rows_are_written_as_they_come(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Never more in memory than a part, and every row once."""
    parts: list[int] = []

    def noted(batches: Any) -> Iterator[Any]:
        for batch in batches:
            parts.append(batch.num_rows)
            yield batch

    def watched(form: Any, schema: Any, batches: Any, out: Any) -> int:
        return write_rows(form, schema, noted(batches), out)

    monkeypatch.setattr(asking, "write_rows", watched)
    out = tmp_path / "answer.parquet"
    assert sql("select range as a from range(200_000)", "--out", str(out)).stdout.startswith("200,000 rows")
    assert pq.read_table(out)["a"].to_pylist() == list(range(200_000))
    assert sum(parts) == 200_000
    assert max(parts) <= 50_000


def test_what_fails_behind_the_first_rows_leaves_no_file(tmp_path: Path) -> None:
    query = "select case when range = 150000 then ('x' || range)::int else 1 end a from range(200000)"
    error = refused(query, "--out", str(tmp_path / "answer.csv"))
    assert error.what.startswith("that SQL does not run: Conversion Error: Could not convert string 'x150000'")
    assert [path.name for path in tmp_path.iterdir()] == ["events"]


def test_what_is_refused(tmp_path: Path) -> None:
    there = tmp_path / "there.csv"
    there.write_text("mine")
    (tmp_path / "latin.sql").write_bytes(b"select '\xe9'")
    assert refused("select 1", "-f", "x.sql").what == "there is SQL in the command and in --file"
    assert refused().what == "there is no SQL"
    assert (
        refused("-f", str(tmp_path / "none.sql")).what
        == f"cannot read {tmp_path / 'none.sql'}: No such file or directory"
    )
    assert "Is a directory" in refused("-f", str(tmp_path)).what
    assert "no text in UTF-8" in refused("-f", str(tmp_path / "latin.sql")).what
    assert refused("select 1", "--csv", "--json").what == "--json and --csv exclude each other"
    assert "does not say what is to be written" in refused("select 1", "--out", str(tmp_path / "answer")).what
    assert refused("select 1", "--out", str(there)).what == f"{there} is there already"
    assert refused("selec 1", "--out", str(there), "--overwrite").what.startswith("that SQL does not run")
    assert there.read_text() == "mine"
    assert sql("select 1 as a", "--out", str(there), "--overwrite").exit_code == 0
    assert there.read_text() == '"a"\n1\n'
    assert "fix: write a select" in str(sql("-f", "-", given="").exception)


def test_on_a_terminal_csv_obeys_nothing_and_parquet_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    asking.sql("select chr(27) || '[31m' as a", as_csv=True)
    assert terminal.getvalue() == '"a"\n"\\u001b[31m"\n'
    with pytest.raises(UserError, match="nothing for a terminal"):
        asking.sql("select 1", as_parquet=True)


def test_json_is_one_document() -> None:
    told = sql("select * from (values (1), (2)) v(a)", "--json").stdout
    assert (told, json.loads(told)) == ('[{"a": 1}, {"a": 2}]\n', [{"a": 1}, {"a": 2}])
