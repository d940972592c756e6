"""Every happening as one JSON line, whose own words no field can overwrite."""

import dataclasses
import io
import json
from dataclasses import dataclass

import analytics.diagnostics
import consumers.diagnostics
import producers.diagnostics
from foundation.clock import Clock
from foundation.diagnostics import Diagnostic, json_lines
from tests.builders import NOON

ALL = (analytics.diagnostics, consumers.diagnostics, producers.diagnostics)


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


def test_no_diagnostic_has_a_field_that_is_the_lines_own() -> None:
    kinds = Diagnostic.__subclasses__()
    assert len(kinds) > 20, [module.__name__ for module in ALL]
    for kind in kinds:
        assert not {"at", "application", "happened"} & {field.name for field in dataclasses.fields(kind)}, kind
