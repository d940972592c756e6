"""Every happening as one JSON line, whose own words no field can overwrite."""

import dataclasses
import errno
import io
import json
from dataclasses import dataclass

import analytics.archiving.diagnostics
import consumers.diagnostics
import producers.publishing.diagnostics
from foundation.clock import Clock
from foundation.diagnostics import Diagnostic, PlainlyTold, in_words, json_lines
from tests.support.builders import NOON

ALL = (analytics.archiving.diagnostics, consumers.diagnostics, producers.publishing.diagnostics)


@dataclass(frozen=True)
class Spilt(Diagnostic):
    litres: float
    error: Exception


def test_a_line_says_when_who_what_and_its_fields() -> None:
    out = io.StringIO()
    json_lines("kitchen", out=out, clock=Clock(now=lambda: NOON, monotonic=lambda: 0.0))(Spilt(0.5, OSError("wet")))
    assert json.loads(out.getvalue()) == {
        "at": "2026-03-14T12:00:00+00:00",
        "application": "kitchen",
        "happened": "Spilt",
        "litres": 0.5,
        "error": "OSError: wet",
    }


def test_an_error_that_is_a_sentence_is_told_without_the_name_of_its_class() -> None:
    out = io.StringIO()
    said = PlainlyTold("the tap drips. fix: turn it off")
    json_lines("kitchen", out=out)(Spilt(0.5, said))
    assert json.loads(out.getvalue())["error"] == in_words(said) == "the tap drips. fix: turn it off"


def test_no_diagnostic_has_a_field_that_is_the_lines_own() -> None:
    kinds = Diagnostic.__subclasses__()
    assert len(kinds) > 20, [module.__name__ for module in ALL]
    for kind in kinds:
        assert not {"at", "application", "happened"} & {field.name for field in dataclasses.fields(kind)}, kind


class FullNow(io.StringIO):
    """Refuses what is written while it is full."""

    full = True

    def write(self, text: str) -> int:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(text)


def test_a_full_log_stops_nobody_and_says_so_once_there_is_room() -> None:
    out = FullNow()
    emit = json_lines("kitchen", out=out)
    for _ in range(3):
        emit(Spilt(0.5, OSError("wet")))
    out.full = False
    emit(Spilt(0.7, OSError("wet")))
    emit(Spilt(0.9, OSError("wet")))
    first, told, last = (json.loads(line) for line in out.getvalue().splitlines())
    assert (first["litres"], last["litres"]) == (0.7, 0.9)
    assert (told["happened"], told["lines"]) == ("LogWasFull", 3)
    assert "No space left on device" in told["error"]
