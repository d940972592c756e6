"""Every `takeaway ...` that a document, a report, a help text or an error names is a command that there is."""

import re
from pathlib import Path
from typing import Any

import pytest
import typer

from takeaway import cli

ROOT = Path(__file__).parents[3]
# In backticks, as HTML's code, at the beginning of a line or of a text, or behind a variable, a prompt or a bracket.
NAMED = re.compile(
    r"(?:[`\"'(>]|^\s*|Examples?: |\$\(|bin/|· )takeaway (?P<first>[a-z]+)(?: (?P<second>[a-z]+))?", re.MULTILINE
)
SUFFIXES = {".py", ".md", ".html", ".yaml", ".sh", ".txt", ".ipynb"}
PLACES = (
    "README.md",
    "Makefile",
    "docs",
    "localstack",
    "analytics",
    "consumers",
    "events",
    "examples",
    "foundation",
    "producers",
    "takeaway",
)
# The titles of the API and of the choreography.
PROSE = {"orders"}


def commands() -> dict[str, set[str]]:
    """Each command with its own commands."""
    group: Any = typer.main.get_command(cli.app)
    return {name: set(getattr(command, "commands", {})) for name, command in group.commands.items()}


def texts() -> list[Path]:
    below = [
        path for place in PLACES for path in ([ROOT / place] if (ROOT / place).is_file() else (ROOT / place).rglob("*"))
    ]
    return [path for path in below if path.is_file() and (path.suffix in SUFFIXES or path.name == "Makefile")]


def unknown(text: str, there: dict[str, set[str]]) -> list[str]:
    return [
        found[0]
        for found in NAMED.finditer(text)
        if found["first"] not in PROSE
        and (
            found["first"] not in there
            or (
                found["first"] in {"dlq", "lake", "flow"}
                and found["second"]
                and found["second"] not in there[found["first"]]
            )
        )
    ]


@pytest.mark.slow
def test_every_command_that_is_named_is_there() -> None:
    there = commands()
    named = {str(path.relative_to(ROOT)): found for path in texts() if (found := unknown(path.read_text(), there))}
    assert named == {}
    assert sum(len(NAMED.findall(path.read_text())) for path in texts()) > 100


@pytest.mark.parametrize(
    "text",
    ["`takeaway follow x`", "<code>takeaway lake follow</code>", "$ x\ntakeaway stop", 'fix: "takeaway dlq erase"'],
)
def test_one_that_is_not_there_is_found(text: str) -> None:
    assert unknown(text, commands())
