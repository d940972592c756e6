"""lake ls, files, verify, compact, vacuum, backfill as a person calls them: what is told or refused, exit codes."""

import base64
import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from analytics import assembly
from analytics.lake import Lake
from events.wire import encode
from foundation.bucket import Bucket
from takeaway import cli
from takeaway.commands.lake import asking, keeping
from takeaway.commands.lake import backfill as backfill_command
from takeaway.errors import UserError
from takeaway.terminal.bad_lines import BadLines
from tests.support.builders import NOON, an_envelope
from tests.support.lake_rows import GOOD, an_order
from tests.support.worlds.kept_lake import DAY, NEXT_DAY, backfill, compactor, content, lake_of_small_files, vacuum
from tests.support.worlds.lake_folder import FolderLake
from tests.support.worlds.lake_world import KEYS, World

pytestmark = pytest.mark.slow


class _Spans:
    """The part of a lake that `ls` asks with SQL."""

    def sql(self, _: str) -> pa.Table:
        return pa.table({"event_date": [DAY], "first": [NOON], "last": [NOON]})


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> World:
    world = lake_of_small_files()
    monkeypatch.setattr(asking, "resolved", dict)
    monkeypatch.setattr(keeping, "resolved", dict)
    monkeypatch.setattr(backfill_command, "resolved", dict)
    monkeypatch.setattr(backfill_command, "HOME", tmp_path / "home")
    monkeypatch.setattr(Lake, "from_environment", lambda _: _Spans())
    monkeypatch.setattr(
        assembly, "bucket_and_log", lambda _: (Bucket(world.bucket.client, world.bucket.name), world.log)
    )
    monkeypatch.setattr(assembly, "compactor", lambda *_: compactor(world))
    monkeypatch.setattr(assembly, "vacuum", lambda _: vacuum(world))
    monkeypatch.setattr(assembly, "backfill", lambda *_: backfill(world))
    monkeypatch.setattr(assembly, "customer_keys", lambda _: KEYS)
    return world


def lake(*arguments: str, given: bytes | None = None) -> Any:
    return CliRunner().invoke(cli.app, ["lake", *arguments], input=given)


def test_the_files_that_count_are_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = FolderLake(tmp_path / "events")
    replaced = folder.archive(*an_order(*GOOD))
    current = folder.compact(DAY)
    monkeypatch.setattr(asking, "resolved", dict)
    monkeypatch.setattr(Lake, "from_environment", lambda _: folder.lake())
    assert lake("files").stdout.splitlines() == [str(folder.root / current)]
    assert json.loads(lake("files", "--json").stdout) == [str(folder.root / current)]
    assert (folder.root / replaced).exists()


@pytest.fixture
def queried(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = FolderLake(tmp_path / "events")
    folder.archive(*an_order(*GOOD, total=1900))
    monkeypatch.setattr(asking, "resolved", dict)
    monkeypatch.setattr(Lake, "from_environment", lambda _: folder.lake())


def no_constant(name: str) -> Any:
    raise AssertionError(f"{name} is no JSON")


def as_json(query: str) -> Any:
    done = lake("sql", query, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout, parse_constant=no_constant)


@pytest.mark.usefixtures("queried")
@pytest.mark.parametrize(
    ("query", "row"),
    [
        ("select 1 a, 2 a", {"a": 1, "a_1": 2}),
        ("select 1 a, 2 a, 3 a_1, 4 a", {"a": 1, "a_2": 2, "a_1": 3, "a_3": 4}),
        (
            "select e.total, o.total from events e join orders o using (order_id) where event_type = 'user_notified'",
            {"total": None, "total_1": 1900},
        ),
        ("select sum(total) s, sum(total)::hugeint * 10**18::hugeint h from orders", {"s": 1900, "h": 1900 * 10**18}),
        ("select 1.5 d, 2.50::decimal(9, 2) e", {"d": 1.5, "e": 2.5}),
        ("select 12345678901234567890.123 d", {"d": "12345678901234567890.123"}),
        ("select 340282366920938463463374607431768211455::uhugeint u", {"u": str(2**128 - 1)}),
        ("select 0/0 a, 1/0 b, -1/0 c", {"a": "NaN", "b": "Infinity", "c": "-Infinity"}),
        ("select {'x': 'nan'::double, 'l': [1.0::float, 'inf'::float]} s", {"s": {"x": "NaN", "l": [1, "Infinity"]}}),
        ("select interval '3 months 2 days 90 seconds' i", {"i": "3 months 2 days 00:01:30"}),
        ("select {'in': [interval 2 day]} s", {"s": "{'in': [2 days]}"}),
        ("select max(occurred_at) + interval 8000 year m from events", {"m": "10026-03-14 12:00:40+00"}),
        ("select date '9999-12-31' + 1 d, '0044-03-15 (BC)'::date e", {"d": "10000-01-01", "e": "0044-03-15 (BC)"}),
        ("select 'infinity'::timestamptz t, '-infinity'::date d", {"t": "infinity", "d": "-infinity"}),
        ("select [timestamp '2026-01-01' + interval 9000 year] l", {"l": "['11026-01-01 00:00:00']"}),
        ("select '\\xAA'::blob b, bit '101' c", {"b": "\\xAA", "c": "101"}),
        ("select min(occurred_at) t from events", {"t": "2026-03-14 12:00:00+00:00"}),
    ],
)
def test_an_answer_as_json_loses_nothing_and_any_parser_reads_it(query: str, row: dict[str, Any]) -> None:
    [answer] = as_json(query)
    assert answer == row
    assert list(answer) == list(row)


@pytest.mark.usefixtures("queried")
@pytest.mark.parametrize(
    ("query", "printed"),
    [
        ("select 1 a, 2 a", "a\ta_1\n1\t2\n"),
        ("select 0/0 n, 1/0 i", "n\ti\nnan\tinf\n"),
        ("select sum(total) s from orders", "s\n1900\n"),
        ("select interval 90 second i, null z", "i\tz\n00:01:30\t\n"),
        (
            "select * from (values (timestamptz '2026-01-01'), ('2026-01-01'::timestamptz + interval 9000 year)) v(t)",
            "t\n2026-01-01T00:00:00Z\n11026-01-01 00:00:00+00\n",
        ),
        ("select 1 a where false", "a\n"),
    ],
)
def test_an_answer_in_a_pipe_has_every_column_in_its_place(query: str, printed: str) -> None:
    assert lake("sql", query).stdout == printed


@pytest.mark.usefixtures("queried")
@pytest.mark.parametrize("query", ["select no_such_column from events", "selec 1", "select 'x'::int"])
def test_sql_that_does_not_run_is_told_with_a_fix(query: str) -> None:
    error = lake("sql", query).exception
    assert isinstance(error, UserError)
    assert error.what.startswith("that SQL does not run: ")
    assert "`events`" in error.fix


@pytest.mark.usefixtures("queried")
@pytest.mark.parametrize("query", ["", "/* nothing */", ";"])
def test_no_sql_at_all_is_told_with_a_fix(query: str) -> None:
    error = lake("sql", query).exception
    assert "fix: write a select" in str(error)


def test_days_are_listed(world: World) -> None:
    first, second = json.loads(lake("ls", "--json").stdout)
    assert (first["day"], first["files"], first["rows"], first["compacted"]) == ("2026-03-14", 3, 9, False)
    assert first["first"] == "2026-03-14T12:00:00Z"
    assert (second["day"], second["first"]) == ("2026-03-15", None)
    assert "event" not in lake("ls").output.splitlines()[1]
    assert lake("ls").output.splitlines()[0].split("\t")[:3] == ["day", "files", "rows"]
    list(compactor(world).run([DAY]))
    assert json.loads(lake("ls", "--json").stdout)[0]["compacted"] is True


@pytest.mark.usefixtures("world")
def test_a_sound_lake_is_said_to_be_sound() -> None:
    done = lake("verify")
    assert done.exit_code == 0
    assert done.stdout.endswith("0 duplicates removed · sound\n")
    assert " · 2 days · 1 shard · " in done.stdout
    told = json.loads(lake("verify", "--json").stdout)
    assert (told["ok"], told["findings"], told["counts"]["rows"]) == (True, [], 10)


def test_a_finding_has_a_name_and_a_fix_and_exit_code_1(world: World) -> None:
    del world.bucket.objects[next(key for key in world.bucket.objects if "event_date" in key)]
    done = lake("verify")
    assert done.exit_code == 1
    assert done.stdout.startswith("missing-object: event_date=2026-03-14/")
    assert "\n  fix: " in done.stdout
    assert done.stdout.endswith("1 finding\n")
    told = json.loads(lake("verify", "--json").stdout)
    assert [finding["kind"] for finding in told["findings"]] == ["missing-object"]


def test_a_dry_run_tells_the_days_that_are_due_and_changes_nothing(world: World) -> None:
    commits = len(world.log.commits)
    assert lake("compact", "--dry-run").stdout == f"{DAY}\n{NEXT_DAY}\n"
    assert json.loads(lake("compact", "--dry-run", "--json").stdout) == [str(DAY), str(NEXT_DAY)]
    assert json.loads(lake("compact", "--dry-run", "--day", "2026-03-01", "--json").stdout) == ["2026-03-01"]
    assert len(world.log.commits) == commits


def test_due_days_are_compacted(world: World) -> None:
    before = content(world)
    first, second = json.loads(lake("compact", "--json").stdout)
    assert (first["day"], first["files"], first["files_now"], first["rows"]) == (str(DAY), 3, 1, 9)
    assert second["day"] == str(NEXT_DAY)
    assert lake("compact").stdout == "nothing to compact\n"
    assert content(world) == before


def test_vacuum_says_what_would_go_and_removes_only_when_told_to(world: World) -> None:
    list(compactor(world).run([DAY]))
    assert lake("vacuum").stdout == "would remove 0 objects of 0 bytes; nothing was changed. --yes removes\n"
    world.clock.advance(timedelta(hours=25).total_seconds())
    objects = dict(world.bucket.objects)
    assert "would remove 3 objects" in lake("vacuum").stdout
    assert world.bucket.objects == objects
    told = json.loads(lake("vacuum", "--yes", "--json").stdout)
    assert told["removed"]
    assert len(told["objects"]) == 3
    assert len(world.bucket.objects) == len(objects) - 3
    assert json.loads(lake("vacuum", "--json").stdout) == {"removed": False, "objects": []}
    assert lake("vacuum", "--retention-hours", "1").exit_code == 2


def history(path: Path, *causes: str, bad: bytes = b"") -> Path:
    lines = [encode(an_envelope(cause=cause)) for cause in causes] + ([bad] if bad else [])
    path.write_bytes(b"\n".join(lines) + b"\n")
    return path


@pytest.mark.usefixtures("world")
def test_a_history_is_loaded_once(tmp_path: Path) -> None:
    path = history(tmp_path / "history.jsonl", "a", "b", "a")
    told = json.loads(lake("backfill", str(path), "--json").stdout)
    assert (told["lines"], told["rows"], told["duplicates"], told["bad"], told["bad_lines"]) == (3, 2, 1, 0, None)
    again = lake("backfill", str(path))
    assert again.exit_code == 0
    assert "0 rows · 3 loaded before" in again.stdout
    assert not (tmp_path / "history.jsonl.bad-lines.jsonl").exists()


@pytest.mark.usefixtures("world")
def test_lines_that_are_no_events_are_kept_in_a_file_and_exit_code_1(tmp_path: Path) -> None:
    path = history(tmp_path / "history.jsonl", "a", bad=b"\xff no event")
    done = lake("backfill", str(path))
    assert done.exit_code == 1
    apart = tmp_path / "history.jsonl.bad-lines.jsonl"
    assert str(apart) in done.stdout.replace("\n", "")
    (told,) = map(json.loads, apart.read_text().splitlines())
    assert (told["line"], base64.b64decode(told["data"])) == (2, b"\xff no event")
    assert "envelope" in told["error"]
    assert json.loads(lake("backfill", str(path), "--json").stdout)["bad"] == 1
    assert apart.read_text().count("\n") == 1


def test_the_standard_input_needs_a_name(world: World, tmp_path: Path) -> None:
    given = history(tmp_path / "history.jsonl", "a", "b").read_bytes()
    assert isinstance(lake("backfill", "-", given=given).exception, UserError)
    told = json.loads(lake("backfill", "-", "--id", "archive-2019", "--json", given=given).stdout)
    assert (told["id"], told["rows"]) == ("archive-2019", 2)
    rows = [row for row in world.visible() if row["_shard"] == "backfill/archive-2019"]
    assert [row["_sequence_number"] for row in rows] == ["1", "2"]
    assert isinstance(lake("backfill", "-", "--id", "a/b", given=given).exception, UserError)


@pytest.mark.usefixtures("world")
def test_a_file_that_is_not_there() -> None:
    done = lake("backfill", "nowhere.jsonl")
    assert isinstance(done.exception, UserError)
    assert "nowhere.jsonl" in str(done.exception)


@pytest.mark.usefixtures("world")
def test_a_bad_line_that_a_kill_cut_off_is_written_again(tmp_path: Path) -> None:
    path = history(tmp_path / "history.jsonl", "a", bad=b"no event")
    lake("backfill", str(path))
    apart = tmp_path / "history.jsonl.bad-lines.jsonl"
    whole = apart.read_bytes()
    apart.write_bytes(whole + whole[:20])
    kept = BadLines(apart)
    assert kept.count == 1
    assert apart.read_bytes() == whole
    apart.write_bytes(whole[:20])
    assert BadLines(apart).count == 0
    assert apart.read_bytes() == b""


def test_an_event_from_another_century_has_its_own_day(world: World, tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    moments = [NOON.replace(year=2019), NOON.replace(year=2093)]
    path.write_bytes(b"\n".join(encode(an_envelope(cause=str(at), occurred_at=at)) for at in moments))
    assert json.loads(lake("backfill", str(path), "--json").stdout)["rows"] == 2
    days = {file.day for file in world.log.snapshot().all_files()}
    assert {date(2019, 3, 14), date(2093, 3, 14)} <= days
    assert date(2093, 3, 14) not in compactor(world).due()
    assert date(2019, 3, 14) in compactor(world).due()
    assert lake("verify").exit_code == 0
