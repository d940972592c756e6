"""takeaway logs: what is shown, filtered, followed and refused."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from foundation.clock import Clock
from takeaway import cli
from takeaway.commands import completing, logs
from takeaway.errors import UserError
from tests.support.builders import NOON
from tests.takeaway.logs.test_files import append, told

FAILED = told(2, n=2, error="ClientError: no \x1b[31mroom", seconds=1.5)


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    folder = tmp_path / "logs"
    folder.mkdir()
    (folder / "api.log").write_text(told(1, n=1, nothing=None) + FAILED)
    (folder / "archiver.log").write_text(told(3, n=3) + "Traceback\n")
    for module in (logs, completing):
        monkeypatch.setattr(module, "HOME", tmp_path)
    now = NOON + timedelta(seconds=62)
    monkeypatch.setattr(logs, "SYSTEM_CLOCK", Clock(now=lambda: now, monotonic=lambda: 0.0))
    return folder


def run(*arguments: str) -> Any:
    return CliRunner().invoke(cli.app, ["logs", *arguments])


@pytest.mark.usefixtures("folder")
def test_lines_are_readable_and_nothing_in_them_is_obeyed() -> None:
    assert run().stdout.splitlines() == [
        "2026-03-14 (UTC)",
        "12:00:01.000 api Told n=1",
        '12:00:02.000 api Told n=2 error="ClientError: no \\u001b[31mroom" seconds=1.5',
        "12:00:03.000 archiver Told n=3",
        "12:00:03.000 archiver Traceback",
    ]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["api"], [1, 2]),
        (["archiver"], [3, "Traceback"]),
        # Run in the archiver's process.
        (["tracker"], [3, "Traceback"]),
        (["--errors"], [2, "Traceback"]),
        (["--since", "60s"], [2, 3, "Traceback"]),
        (["--since", "2026-03-14T12:00:03Z"], [3, "Traceback"]),
        (["--since", "1m", "--errors", "api"], [2]),
        (["--last", "1"], ["Traceback"]),
        (["--last", "0"], [1, 2, 3, "Traceback"]),
    ],
)
def test_what_is_asked_for_is_shown_as_json_too(arguments: list[str], shown: list[Any]) -> None:
    lines = [json.loads(line) for line in run("--json", *arguments).stdout.splitlines()]
    assert [line.get("n", line.get("text")) for line in lines] == shown


def test_the_json_is_the_line_itself(folder: Path) -> None:
    assert run("--json", "api").stdout == (folder / "api.log").read_text()


@pytest.mark.usefixtures("folder")
def test_what_is_left_out_is_told() -> None:
    done = run("--last", "1")
    assert done.stderr == "3 lines before these; --last 0 shows all\n"
    assert run("--errors", "--since", "0s").stderr == "nothing of the kind was told\n"


class Rounds:
    """In the place of a wait: each time something is done, and after the last the command is told to stop."""

    def __init__(self, *doings: Callable[[], object]) -> None:
        self._doings = list(doings)

    def wait(self, _: float) -> bool:
        if not self._doings:
            return True
        self._doings.pop(0)()
        return False


def test_it_follows_over_restarts_and_rotations(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line = told(7, n=7)
    rounds = Rounds(
        lambda: append(folder / "api.log", told(4, n=4)),
        lambda: (folder / "api.log").rename(folder / "api.log.1"),
        lambda: (folder / "api.log").write_text(told(5, n=5)),
        lambda: (folder / "watcher.log").write_text(told(6, n=6)),
        lambda: append(folder / "archiver.log", line[:9]),
        lambda: append(folder / "archiver.log", line[9:]),
    )
    monkeypatch.setattr(logs, "stop_on_signal", lambda: rounds)
    done = run("-f", "-n", "1", "--json")
    assert done.exit_code == 0
    told_of = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line.get("n", line.get("text")) for line in told_of] == ["Traceback", 4, 5, 6, 7]


@pytest.mark.usefixtures("folder")
def test_a_name_that_none_has_and_a_time_that_is_none() -> None:
    unknown = run("cook").exception
    assert isinstance(unknown, UserError)
    assert unknown.fix == "one of: api, archiver"
    assert isinstance(run("--since", "yesterday").exception, UserError)
    assert isinstance(run("--since", "999999999d").exception, UserError)


def test_where_there_are_no_logs_it_says_who_writes_some(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()
    demo = folder.parent / "demos" / "20260314"
    (demo / "logs").mkdir(parents=True)
    error = run().exception
    assert isinstance(error, UserError)
    assert f"TAKEAWAY_HOME={demo} takeaway logs" in error.fix


@pytest.mark.usefixtures("folder")
def test_a_shell_offers_the_processes_that_told_something() -> None:
    assert completing.processes("a") == ["api", "archiver"]
    assert completing.processes("t") == ["tracker"]
    assert "restaurant_notifier" in completing.readers_of_the_stream("rest")
    assert completing.roles("op") == ["operator"]
    assert completing.event_types("order_pl") == ["order_placed"]
    assert completing.backends("emb") == ["embedded"]
    assert "kitchen-meltdown" in completing.scenarios("kit")
