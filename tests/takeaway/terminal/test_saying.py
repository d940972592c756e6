"""No place where commands print lets data say what a terminal obeys."""

import io
import json
import re
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table
from rich.text import Text

from events import EVENT_TYPES
from foundation.diagnostics import LogWasFull, json_lines
from foundation.plain_text import one_line, plain_text
from takeaway import cli
from takeaway.commands import doctor
from takeaway.demo.screen import View, plain, screen
from takeaway.doctor import Checkup
from takeaway.doctor.facts import Problem, Section
from takeaway.overview import EventFlow
from takeaway.terminal import PlainConsole, say, show_rows
from tests.support import ROOT
from tests.support.builders import NOON
from tests.takeaway.overview.an_overview import an_overview

# A title, a colour of C1, a name that turns round, an isolate, a line of its own, an overwriting return, half a pair.
EVIL = "\x1b]0;owned\x07 \x9b31m \u202egnp.exe \u2066 \u2028 \r \ud800 \x08 \u200b[/bold][link=http://evil]"
OBEYED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]"
)
OUR_STYLES = re.compile(r"\x1b\[[0-9;]*m")


def an_error() -> None:
    cli._fail(f"what {EVIL}", f"fix {EVIL}")


def a_checkup() -> None:
    checkup = Checkup(NOON, None)
    problems = [Problem(Section.SETTINGS, EVIL, EVIL)]
    console = PlainConsole(highlight=False, soft_wrap=True)
    doctor._show_problems(checkup, problems, problems, console)
    doctor._show_facts(checkup, problems, problems, console, every_setting=True)


def a_live_screen() -> None:
    view = View(EVIL, 1.0, 2.0, 1, dict.fromkeys(_TYPES, 1), 1, 1, EVIL)
    console = PlainConsole()
    for overview in (None, an_overview(stack=EVIL, events=(EventFlow(EVIL, 1, 1.0),))):
        for line in screen(view, overview, 100, 60):
            console.print(line)
    console.print(plain(view))


def a_table() -> None:
    table = Table(EVIL)
    table.add_row(EVIL)
    PlainConsole().print(table, Text(EVIL), EVIL)


def a_log() -> None:
    json_lines(EVIL, out=sys.stdout)(LogWasFull(1, OSError(EVIL)))


_TYPES = [*EVENT_TYPES.values()]

PLACES: dict[str, Callable[[], Any]] = {
    "a line": lambda: say(EVIL, EVIL),
    "an error": an_error,
    "rows": lambda: show_rows(["a", EVIL], [{"a": EVIL, EVIL: [EVIL]}], PlainConsole()),
    "wide rows": lambda: show_rows(["a", EVIL], [{"a": EVIL * 30, EVIL: [EVIL]}], PlainConsole()),
    "a console": a_table,
    "doctor": a_checkup,
    "the demo's screen": a_live_screen,
    "a log": a_log,
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("terminal", [True, False])
def test_what_data_say_is_shown_and_not_obeyed(place: str, terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    monkeypatch.setattr("sys.stdout", out)
    monkeypatch.setattr("sys.stderr", out)
    if terminal:
        monkeypatch.setenv("FORCE_COLOR", "1")
        monkeypatch.setenv("COLUMNS", "100")
    with suppress(SystemExit):
        PLACES[place]()
    said = out.getvalue()
    assert "owned" in said
    assert OBEYED.findall(OUR_STYLES.sub("", said)) == []
    assert "\x1b]8;" not in said, "a link that the data made"


def test_no_command_prints_but_through_the_terminal_room() -> None:
    """ruff's T201 holds it: nothing below takeaway/ may call `print`, but for the one line in `say`."""
    lines = (ROOT / "pyproject.toml").read_text().splitlines()
    assert [line for line in lines if line.startswith('"takeaway') and "T201" in line] == []


@given(st.text())
def test_nothing_obeyed_is_left_and_all_else_stays(text: str) -> None:
    told = plain_text(text)
    assert OBEYED.findall(told) == []
    assert plain_text(told) == told
    assert "\n" not in one_line(text)
    if told == text:
        return
    assert len(told) > len(text)


def test_joiners_tabs_and_lines_stay_and_json_stays_json() -> None:
    assert plain_text("a\tb\nक्\u200dष 👩\u200d🍳 é ·") == "a\tb\nक्\u200dष 👩\u200d🍳 é ·"
    assert one_line("a\tb\nc") == "a\\tb\\nc"
    evil = {"name": "\x9b\u202e\U000e0041"}
    assert json.loads(plain_text(json.dumps(evil, ensure_ascii=False))) == evil
