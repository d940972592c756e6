"""`--json`: one document on standard output, with the facts that people are told in words."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from events.choreography import CHOREOGRAPHY
from producers.load.live.open_orders import OpenStep, Why
from producers.load.live.simulation import LoadSummary
from takeaway import cli
from takeaway.commands import loading, reading
from takeaway.local import aws as local_aws
from tests.conftest import LocalAws
from tests.support.builders import NOON
from tests.support.command_line import run_takeaway

SUMMARY = LoadSummary(
    seed=7,
    orders=20,
    acknowledged=19,
    refused=1,
    unacknowledged=0,
    accepted=18,
    rejected=1,
    completed=18,
    cancelled=0,
    expired=0,
    p50=timedelta(milliseconds=22),
    p99=None,
    max_lag=timedelta(seconds=1.5),
    drained=True,
    held_rate=True,
)


def test_the_choreography() -> None:
    done = CliRunner().invoke(cli.app, ["flow", "show", "--json"])
    steps = json.loads(done.stdout)
    assert [step["who"] for step in steps] == [step.actor for step in CHOREOGRAPHY]
    assert steps[0] == {"who": "customer", "hears": None, "tells": ["order_placed"], **_rest_of(steps[0])}
    assert steps[1]["hears"] == "order_placed"
    deadlines = [step.deadline.total_seconds() if step.deadline else None for step in CHOREOGRAPHY]
    assert [step["within_seconds"] for step in steps] == deadlines


def _rest_of(step: dict[str, object]) -> dict[str, object]:
    return {name: step[name] for name in ("within_seconds", "owner")}


def test_a_load(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "resolved", lambda: local_aws.local_environ("http://127.0.0.1:9"))
    monkeypatch.setenv("TAKEAWAY_TOKEN_KEY", "k" * 32)
    monkeypatch.setattr("producers.load.run.run_load", lambda *_, **__: SUMMARY)
    monkeypatch.setattr(loading, "answering", lambda _: "http://127.0.0.1:9")
    monkeypatch.setattr(loading, "stop_on_signal", lambda: None)
    facts = json.loads(CliRunner().invoke(cli.app, ["load", "--seed", "7", "--json"]).stdout)
    assert facts["orders"] == 20
    assert (facts["p50_seconds"], facts["p99_seconds"], facts["max_lag_seconds"]) == (0.022, None, 1.5)
    assert facts["drained"] is True


def test_a_load_that_could_not_hold_its_rate_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "resolved", lambda: local_aws.local_environ("http://127.0.0.1:9"))
    monkeypatch.setenv("TAKEAWAY_TOKEN_KEY", "k" * 32)
    monkeypatch.setattr("producers.load.run.run_load", lambda *_, **__: replace(SUMMARY, held_rate=False))
    monkeypatch.setattr(loading, "answering", lambda _: "http://127.0.0.1:9")
    monkeypatch.setattr(loading, "stop_on_signal", lambda: None)
    done = CliRunner().invoke(cli.app, ["load", "--seed", "7"])
    assert done.exit_code == 1
    assert "the rate could not be held" in done.stdout


ANSWERS = ("order_accepted", "order_rejected")
PERSON = OpenStep(3, Why.PERSON, "restaurant", "restaurants", ANSWERS, NOON, ("restaurant-03",), "order-1")


@pytest.mark.parametrize(("why", "code"), [(Why.PERSON, 0), (Why.TIME_LEFT, 0), (Why.STUCK, 1)])
def test_a_load_fails_for_orders_that_are_stuck_and_not_for_those_that_wait_in_time(
    monkeypatch: pytest.MonkeyPatch, why: Why, code: int
) -> None:
    monkeypatch.setattr(loading, "resolved", lambda: local_aws.local_environ("http://127.0.0.1:9"))
    monkeypatch.setenv("TAKEAWAY_TOKEN_KEY", "k" * 32)
    left = replace(SUMMARY, drained=False, left_open=(replace(PERSON, why=why),))
    monkeypatch.setattr("producers.load.run.run_load", lambda *_, **__: left)
    monkeypatch.setattr(loading, "answering", lambda _: "http://127.0.0.1:9")
    monkeypatch.setattr(loading, "stop_on_signal", lambda: None)
    done = CliRunner().invoke(cli.app, ["load", "--seed", "7", "--json"])
    assert done.exit_code == code
    [told] = json.loads(done.stdout)["left_open"]
    assert (told["orders"], told["why"], told["actor"], told["restaurants"]) == (
        3,
        why,
        "restaurant",
        ["restaurant-03"],
    )


@pytest.mark.parametrize(
    ("simulated", "flags", "simulates", "waits", "by_people"),
    [
        (None, (), True, False, False),
        ("simulated", (), False, True, False),
        ("others", (), False, True, True),
        ("others", ("--restaurants",), True, False, False),
        # None are simulated, by nobody: people answer.
        ("none", (), False, True, True),
        ("none", ("--no-restaurants",), False, False, False),
        ("none", ("--restaurants",), True, False, False),
    ],
)
def test_a_load_simulates_restaurants_unless_up_does_or_was_told_none(
    monkeypatch: pytest.MonkeyPatch,
    simulated: str | None,
    flags: tuple[str, ...],
    simulates: bool,
    waits: bool,
    by_people: bool,
) -> None:
    asked: dict[str, Any] = {}

    def run_load(*_: Any, **how: Any) -> LoadSummary:
        asked.update(how)
        return SUMMARY

    monkeypatch.setattr(loading, "resolved", lambda: local_aws.local_environ("http://127.0.0.1:9"))
    monkeypatch.setenv("TAKEAWAY_TOKEN_KEY", "k" * 32)
    monkeypatch.setattr("takeaway.stack.restaurants_of_up", lambda: simulated)
    monkeypatch.setattr("producers.load.run.opened_restaurants", lambda _: lambda _: True)
    monkeypatch.setattr("producers.load.run.run_load", run_load)
    monkeypatch.setattr(loading, "answering", lambda _: "http://127.0.0.1:9")
    monkeypatch.setattr(loading, "stop_on_signal", lambda: None)
    assert CliRunner().invoke(cli.app, ["load", "--seed", "7", *flags]).exit_code == 0
    told = (asked["with_restaurants"], asked["watch_restaurants"], asked["run_by_people"]("restaurant-01"))
    assert told == (simulates, waits, by_people)


@pytest.mark.slow
def test_a_history_and_its_audit(tmp_path: Path) -> None:
    out = str(tmp_path / "orders.jsonl")
    wanted = ["--days", "1", "--seed", "7", "--scenario", "poison-pill", "--fault", "duplicate=0.02"]
    written = json.loads(CliRunner().invoke(cli.app, ["load", "history", "--out", out, *wanted, "--json"]).stdout)
    assert (written["seed"], written["file"]) == (7, out)
    assert written["lines"] == written["events"] + written["faults"]
    done = CliRunner().invoke(cli.app, ["audit", "--history", out, "--json"])
    judged = json.loads(done.stdout)
    assert (done.exit_code, judged["ok"], judged["findings"]) == (0, True, [])
    assert f"{written['events']:,} events · 0 lost · 0 doubled" in judged["receipt"]
    Path(out).write_bytes(Path(out).read_bytes().partition(b"\n")[2])
    done = CliRunner().invoke(cli.app, ["audit", "--history", out])
    assert done.exit_code == 1
    assert " 1 lost " in done.stdout


@pytest.mark.slow
def test_realism(tmp_path: Path) -> None:
    picture = tmp_path / "card.svg"
    done = CliRunner().invoke(cli.app, ["load", "realism", "--seed", "7", "--json", "--picture", str(picture)])
    card = json.loads(done.stdout)
    assert (done.exit_code, card["ok"], card["seed"]) == (0, True, 7)
    assert all(row["source"] and row["published"] and row["tolerance"] for row in card["statistics"])
    assert picture.read_text().startswith("<?xml")


@pytest.mark.slow
def test_a_report(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(reading, "resolved", dict)
    monkeypatch.setattr("takeaway.audit.write_report", lambda _environ, out, *_, **__: out)
    arguments = ["report", "--json", "--out", str(tmp_path / "r.html"), "--ledger", str(tmp_path / "none")]
    facts = json.loads(CliRunner().invoke(cli.app, arguments).stdout)
    assert facts == {"report": str(tmp_path / "r.html"), "data": str(tmp_path / "r.json")}


@pytest.mark.local_aws
def test_a_deployment(local_aws: LocalAws, tmp_path: Path) -> None:
    done = run_takeaway("deploy", "--json", home=tmp_path, **local_aws.reached)
    assert done.returncode == 0, done.stderr
    settings = json.loads(done.stdout)
    assert settings["TAKEAWAY_STREAM"] == local_aws.environ["TAKEAWAY_STREAM"]
    assert settings.items() <= local_aws.environ.items()


@pytest.mark.end_to_end
def test_up_and_down(tmp_path: Path) -> None:
    port = str(local_aws.free_port())
    try:
        up = run_takeaway("up", "--aws-only", "--json", home=tmp_path, TAKEAWAY_AWS_PORT=port)
        assert up.returncode == 0, up.stderr
        facts = json.loads(up.stdout)
        assert facts["endpoint"].endswith(f":{port}")
        assert facts["api"] is None
        assert [one["name"] for one in facts["processes"]] == ["local-aws"]
    finally:
        down = run_takeaway("down", "--json", home=tmp_path)
    assert json.loads(down.stdout) == {"stopped": 1}
    assert json.loads(run_takeaway("down", "--json", home=tmp_path).stdout) == {"stopped": 0}
