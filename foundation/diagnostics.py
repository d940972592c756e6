"""Every notable happening is a small frozen dataclass, handed to one injected function."""

import dataclasses
import json
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TextIO

from foundation.clock import SYSTEM_CLOCK, Clock


@dataclass(frozen=True)
class Diagnostic:
    """Something an operator may want to know. Subclasses name it; their fields never hold customers' data."""


class PlainlyTold(Exception):
    """Its text is a sentence that says all of it: it is told without the name of its class."""


Emit = Callable[[Diagnostic], None]

_LONGEST_WORDS = 500


@dataclass(frozen=True)
class LogWasFull(Diagnostic):
    """The log refused so many lines before the last one, most likely for want of room; most of them are missing.

    Work went on meanwhile: an order is not held up by a log.
    """

    lines: int
    error: OSError


def json_lines(application: str, *, out: TextIO = sys.stderr, clock: Clock = SYSTEM_CLOCK) -> Emit:
    """Writes each diagnostic as one JSON line: when, which application, what happened, and its fields.

    A log that refuses a line stops nobody's work; the next line that it takes is followed by `LogWasFull`.
    """
    lock = threading.Lock()
    refused = 0
    refusal: OSError | None = None

    def put(diagnostic: Diagnostic) -> None:
        line = {
            "at": clock.now().isoformat(),
            "application": application,
            "happened": type(diagnostic).__name__,
            **{field.name: _plain(getattr(diagnostic, field.name)) for field in dataclasses.fields(diagnostic)},
        }
        print(json.dumps(line), file=out, flush=True)

    def emit(diagnostic: Diagnostic) -> None:
        nonlocal refused, refusal
        with lock:
            try:
                put(diagnostic)
                if refusal:
                    put(LogWasFull(refused, refusal))
                    refused, refusal = 0, None
            except OSError as error:
                refused, refusal = refused + 1, error

    return emit


def in_words(error: BaseException) -> str:
    """What the error is, unless it says so itself, and what it says; not more of that than a screen can hold."""
    text = _said(error)
    return text if len(text) <= _LONGEST_WORDS else f"{text[: _LONGEST_WORDS - 1]}…"


def _said(error: BaseException) -> str:
    return str(error) if isinstance(error, PlainlyTold) else f"{type(error).__name__}: {error}"


def _plain(value: Any) -> Any:
    if isinstance(value, BaseException):
        return _said(value)
    return value if isinstance(value, (int, float, str, bool, type(None))) else str(value)
