"""`down` discards no lake with rows before it was told to, where there is a person to ask."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from takeaway import cli, stack
from takeaway.commands import stack as stack_commands
from takeaway.local import LOCAL_AWS
from takeaway.local.aws import save_environ
from takeaway.stack.discarding import lake_at_stake
from takeaway.stack.flow import Stack
from tests.conftest import LocalAws

ROWS = "a lake of 2,954 rows at http://127.0.0.1:4566"


@dataclass
class Up:
    """A stack of two processes, and what became of it."""

    running: list[str] = field(default_factory=lambda: ["local-aws", "api"])
    stopped: bool = False

    def stop(self, _: Callable[[str], None]) -> None:
        self.stopped = True


@pytest.fixture
def up(monkeypatch: pytest.MonkeyPatch) -> Up:
    up = Up()
    monkeypatch.setattr(stack_commands, "HOME", Path("no-such-folder"))
    monkeypatch.setattr(stack, "existing", lambda _: up)
    monkeypatch.setattr(stack, "lake_at_stake", lambda _: ROWS)
    return up


def down(monkeypatch: pytest.MonkeyPatch, *arguments: str, terminal: bool, says: str = "") -> Any:
    monkeypatch.setattr(stack_commands, "at_a_terminal", lambda: terminal)
    return CliRunner().invoke(cli.app, ["down", *arguments], input=says)


@pytest.mark.parametrize("says", ["", "n\n", "\n"])
def test_on_a_terminal_it_asks_and_keeps_the_lake_unless_told(
    up: Up, monkeypatch: pytest.MonkeyPatch, says: str
) -> None:
    asked = down(monkeypatch, terminal=True, says=says)
    assert f"This discards {ROWS}. Go on?" in asked.output
    assert asked.exit_code == 1
    assert not up.stopped


def test_told_to_it_goes_on_and_says_what_went(up: Up, monkeypatch: pytest.MonkeyPatch) -> None:
    done = down(monkeypatch, terminal=True, says="y\n")
    assert done.exit_code == 0
    assert done.stdout.endswith(f"discarded {ROWS}\nstopped 2 processes\n")
    assert up.stopped


@pytest.mark.parametrize(("arguments", "terminal"), [(["--yes"], True), ([], False), (["--yes"], False)])
def test_scripts_are_not_asked_and_are_told(
    up: Up, monkeypatch: pytest.MonkeyPatch, arguments: list[str], terminal: bool
) -> None:
    done = down(monkeypatch, *arguments, terminal=terminal)
    assert (done.exit_code, done.stdout) == (0, f"discarded {ROWS}\nstopped 2 processes\n")
    assert up.stopped


def test_an_empty_lake_is_no_question(up: Up, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stack, "lake_at_stake", lambda _: "")
    done = down(monkeypatch, terminal=True)
    assert (done.exit_code, done.stdout) == (0, "stopped 2 processes\n")
    assert up.stopped


def test_where_no_aws_of_ours_is_up_nothing_is_at_stake(tmp_path: Path) -> None:
    assert lake_at_stake(Stack(tmp_path, following=False)) == ""


class _WithAws(Stack):
    def runs(self, name: str) -> bool:
        return name == LOCAL_AWS


@pytest.mark.local_aws
def test_what_is_at_stake_is_counted_from_the_lakes_log(local_aws: LocalAws, tmp_path: Path) -> None:
    save_environ(tmp_path, local_aws.reached)
    told = lake_at_stake(_WithAws(tmp_path, following=False))
    assert told == "" or told.endswith(f"at {local_aws.endpoint}")
    (tmp_path / "endpoint").write_text("http://127.0.0.1:9")
    assert lake_at_stake(_WithAws(tmp_path, following=False)) == ""
