"""Options that several commands share, and what every long-running one does with a signal."""

import os
import re
import secrets
import signal
import sys
import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from foundation import aws
from foundation.settings import variable
from takeaway.errors import UserError
from takeaway.stack import HOME

Seed = Annotated[int | None, typer.Option(help="The same seed gives the same orders. Chosen and printed when absent.")]
MAX_RATE = 100_000.0
MAX_SPEED = 1_000_000.0


Speed = Annotated[
    float,
    typer.Option(min=1, max=MAX_SPEED, help="How many times as fast as real kitchens the simulated ones are."),
]
Json = Annotated[bool, typer.Option("--json", help="Print facts as JSON.")]
Ledger = Annotated[Path, typer.Option(help="The folder of the load's ledger.")]
ReallyAws = Annotated[bool, typer.Option("--yes-really-aws", help="Allow load and mail to reach real AWS.")]

LEDGER = HOME / "ledger"


def chosen(seed: int | None) -> int:
    """The seed given, or a new one; whoever takes it prints it, so that the run can be repeated."""
    return secrets.randbelow(1_000_000) if seed is None else seed


def port(field: str) -> int | None:
    """The port that TAKEAWAY_<FIELD> names; None when it is not set."""
    text = os.environ.get(variable(field))
    if not text:
        return None
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise UserError(f"{variable(field)} is {text!r}", "a port is a whole number from 1 to 65535")
    return int(text)


def confirm(environ: Mapping[str, str], question: str, *, yes: bool, otherwise: str) -> None:
    """Asks before what cannot be taken back on real AWS; without a terminal `otherwise` ends the command."""
    if yes or aws.reaches_only_local(environ):
        return
    if not at_a_terminal():
        raise UserError(otherwise, "--yes if you mean it")
    typer.confirm(question, abort=True)


def at_a_terminal() -> bool:
    """Whether a person can be asked."""
    return sys.stdin.isatty()


def stop_on_signal() -> threading.Event:
    """Set by the first SIGTERM or Ctrl-C; a second one ends the process at once."""
    stop = threading.Event()

    def heard(number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()

    signal.signal(signal.SIGTERM, heard)
    signal.signal(signal.SIGINT, heard)
    return stop


_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_AGO = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)([smhd])")


def moment(text: str, now: datetime) -> datetime:
    """The moment that a person means: so long ago (`90s`, `10m`, `2h`, `1d`), or ISO 8601; in UTC without a zone.

    Raises `UserError`.
    """
    try:
        if found := _AGO.fullmatch(text.strip()):
            return now - timedelta(**{_UNITS[found[2]]: float(found[1])})
        told = datetime.fromisoformat(text.strip())
        return told.replace(tzinfo=UTC) if told.tzinfo is None else told
    except (ValueError, OverflowError) as error:
        raise UserError(
            f"{text!r} is no time", "90s, 10m, 2h or 1d ago, or ISO 8601, as 2026-03-14T12:00:00Z or 2026-03-14"
        ) from error


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        from takeaway.terminal import say

        say(f"takeaway {version('takeaway')}")
        raise typer.Exit


def about(
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version, and nothing else.")
    ] = False,
) -> None:
    """Event-driven order processing on Kinesis, with a lake that holds every event exactly once."""
