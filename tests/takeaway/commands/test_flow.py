"""flow check and flow show --mined: twelve detours in a lake of a generated day, and none in the day itself."""

import json
import re
import shlex
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from analytics.lake import Lake, NoLake
from analytics.mining.results import Deviation, Kind
from events.choreography import CHOREOGRAPHY, RESTAURANT_NOTIFIER
from events.drawing import mermaid
from events.orders import EVENT_TYPES, RestaurantNotified
from events.wire import decode
from producers.load.history.history import HistoryPlan, ledger_beside, write_history
from producers.load.ledger import SilentEnd, ledger_lines
from takeaway import cli
from takeaway.commands import flow
from takeaway.commands.lake import asking
from tests.support.lake_rows import GOOD, an_event, an_order
from tests.support.subscribers import CORE
from tests.support.worlds.kept_folder import KeptFolder

pytestmark = pytest.mark.slow

Rows = list[dict[str, Any]]
# The day's events end here, with orders under way.
CUT = datetime(2026, 6, 1, 20, tzinfo=UTC)


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> tuple[Rows, set[str]]:
    """The events of a generated day, and the orders that its ledger says ended silently."""
    out = tmp_path_factory.mktemp("history") / "orders.jsonl"
    write_history(HistoryPlan(7, 1, orders_a_day=300), out)
    silent = {line.order_id for line in ledger_lines(ledger_beside(out), []) if isinstance(line, SilentEnd)}
    rows = []
    for line in out.read_bytes().splitlines():
        one = decode(line)
        row = an_event(one.event_type, order_id=one.order_id, occurred_at=one.occurred_at)
        row["accept_by"] = getattr(one.event, "accept_by", None)
        rows.append(row | {"event_id": one.event_id, "cause": one.cause, "producer": one.producer})
    return rows, silent


@pytest.fixture
def clean(day: tuple[Rows, set[str]]) -> Rows:
    """The orders that did not end silently, until the cut."""
    rows, silent = day
    return [dict(row) for row in rows if row["order_id"] not in silent and row["occurred_at"] < CUT]


@pytest.fixture
def lake_of(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[Rows], None]:
    folder = KeptFolder(tmp_path)
    monkeypatch.setattr(flow, "resolved", dict)
    monkeypatch.setattr(flow, "HOME", tmp_path)
    monkeypatch.setattr(asking, "resolved", dict)
    monkeypatch.setattr(Lake, "from_environment", lambda _: folder.lake())
    return folder.add


def check(*arguments: str) -> tuple[int, dict[str, Any]]:
    done = CliRunner().invoke(cli.app, ["flow", "check", "--json", *arguments])
    return done.exit_code, json.loads(done.stdout)


def kinds_by_order(facts: dict[str, Any]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for one in facts["deviations"]:
        found.setdefault(one["order_id"], set()).add(one["kind"])
    return found


def test_a_day_that_went_as_declared_is_clean(clean: Rows, lake_of: Callable[[Rows], None]) -> None:
    lake_of(clean)
    code, facts = check()
    assert (code, facts["ok"], facts["deviations"], facts["kinds"]) == (0, True, [], {})
    assert facts["orders"] == len({row["order_id"] for row in clean}) > 200
    ways = {tuple(one["events"]) for one in facts["variants"]}
    assert ("order_placed", *GOOD, "user_notified") in ways
    assert any(way[-1] in {"restaurant_notified", "user_notified"} for way in ways), "no order is under way"
    done = CliRunner().invoke(cli.app, ["flow", "check"])
    assert done.exit_code == 0
    assert done.stdout.startswith("every order keeps to the flow\n")


def test_of_a_generated_day_only_orders_deviate_that_ended_silently(
    day: tuple[Rows, set[str]], lake_of: Callable[[Rows], None]
) -> None:
    rows, silent = day
    lake_of(rows)
    _, facts = check("--limit", "1000")
    assert kinds_by_order(facts).keys() <= silent
    assert facts["kinds"].keys() <= {"late", "overdue"}


class Detours:
    """Twelve orders of the day that were completed, each on a way of its own; `planted` says which deviates how."""

    def __init__(self, rows: Rows) -> None:
        self.rows, self.planted = rows, dict[str, set[str]]()
        completed = [row["order_id"] for row in rows if row["event_type"] == "order_completed"]
        self._orders = iter(dict.fromkeys(completed))

    def another(self, *kinds: Kind) -> dict[str, dict[str, Any]]:
        """The next order's events by type; the mail that its food is ready is `ready`."""
        order_id = next(self._orders)
        self.planted[order_id] = {kind.value for kind in kinds}
        rows = [row for row in self.rows if row["order_id"] == order_id]
        events = {row["event_type"]: row for row in reversed(rows)}
        [events["ready"]] = [row for row in rows if row["cause"] == events["order_completed"]["event_id"]]
        return events

    def drop(self, *rows: dict[str, Any]) -> None:
        self.rows[:] = [row for row in self.rows if not any(row is dropped for dropped in rows)]

    def again(self, row: dict[str, Any]) -> None:
        """Once more for each step that may tell it: more often than all of them together."""
        for number in range(
            max(1, sum(row["event_type"] in map(EVENT_TYPES.get, one.publishes) for one in CHOREOGRAPHY))
        ):
            changed = {
                "event_id": f"{row['event_id']}/{number}",
                "_sequence_number": f"{number}{row['_sequence_number']}",
            }
            self.rows.append(row | changed)

    def plant(self) -> None:
        order = self.another(Kind.WRONG_ORDER)
        early = order["order_completed"]["occurred_at"] - order["order_accepted"]["occurred_at"] + timedelta(seconds=1)
        for event in ("order_completed", "ready"):
            order[event]["occurred_at"] -= early
        # And of its two mails one answers nothing that is there.
        order = self.another(Kind.WRONG_ORDER, Kind.TWICE)
        self.drop(order["order_accepted"])
        self.again(order["user_notified"])
        order = self.another(Kind.MISSING, Kind.WRONG_ORDER)
        self.drop(order["restaurant_notified"])
        order = self.another(Kind.MISSING)
        self.drop(order["user_notified"])
        order = self.another(Kind.TWICE)
        self.again(order["user_notified"])
        order = self.another(Kind.TWICE, Kind.MISSING)
        self.again(order["order_placed"])
        order = self.another(Kind.LATE)
        order["user_notified"]["occurred_at"] += timedelta(minutes=5)
        order = self.another(Kind.LATE)
        for event in ("order_completed", "ready"):
            order[event]["occurred_at"] += timedelta(hours=2)
        order = self.another(Kind.NEVER_PLACED)
        self.drop(order["order_placed"])
        # And the customer is not told of the rejection.
        order = self.another(Kind.CONTRADICTORY, Kind.MISSING)
        changed = {"event_type": "order_rejected", "event_id": "rejected", "_sequence_number": "7" * 57}
        self.rows.append(order["order_accepted"] | changed)
        order = self.another(Kind.OVERDUE)
        self.drop(order["order_accepted"], order["user_notified"], order["order_completed"], order["ready"])
        order = self.another(Kind.OVERDUE)
        self.drop(order["order_completed"], order["ready"])


def test_twelve_detours_are_found_by_order_and_kind_and_no_others(clean: Rows, lake_of: Callable[[Rows], None]) -> None:
    detours = Detours(clean)
    detours.plant()
    assert len(detours.planted) == 12
    assert {kind for kinds in detours.planted.values() for kind in kinds} == {kind.value for kind in Kind}
    lake_of(detours.rows)
    code, facts = check("--limit", "100")
    assert code == 1
    assert kinds_by_order(facts) == detours.planted
    assert facts["deviating_orders"] == 12
    assert facts["kinds"] == {
        "never placed": 1,
        "wrong order": 3,
        "contradictory": 1,
        "missing": 4,
        "twice": 3,
        "late": 2,
        "overdue": 2,
    }
    assert all(shlex.split(one["look"]) == ["takeaway", "trace", one["order_id"]] for one in facts["deviations"])


def test_no_more_orders_than_asked_for_are_named_and_all_are_counted(
    clean: Rows, lake_of: Callable[[Rows], None]
) -> None:
    detours = Detours(clean)
    detours.plant()
    lake_of(detours.rows)
    _, facts = check("--limit", "1")
    assert facts["kinds"]["wrong order"] == 3
    assert len({one["order_id"] for one in facts["deviations"] if one["kind"] == "wrong order"}) == 1
    done = CliRunner().invoke(cli.app, ["flow", "check", "--limit", "0"])
    assert "12 orders deviate from the flow" in done.stdout
    assert "wrong order: 3 orders\n  … and 3 more: --limit\n" in done.stdout


def on_a_terminal(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> list[str]:
    out = StringIO()

    def console(*, stderr: bool = False, highlight: bool = False, soft_wrap: bool = False) -> Console:
        shown = Console(file=StringIO() if stderr else out, width=80, color_system=None, force_terminal=not stderr)
        shown.soft_wrap, shown._highlight = soft_wrap, highlight
        return shown

    monkeypatch.setattr(flow, "PlainConsole", console)
    CliRunner().invoke(cli.app, ["flow", *arguments])
    return out.getvalue().splitlines()


def test_all_of_it_fits_a_terminal(
    clean: Rows, lake_of: Callable[[Rows], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    detours = Detours(clean)
    detours.plant()
    lake_of(detours.rows)
    lines = on_a_terminal(monkeypatch, "check")
    assert all(len(line) <= 80 for line in lines)
    assert len({line for line in lines if line.startswith("    takeaway trace ")}) == 12
    mined = on_a_terminal(monkeypatch, "show", "--mined")
    assert all(len(line) <= 80 for line in mined)
    [row] = [line.split() for line in mined if "─" not in line and "restaurant_notified" in line]
    assert (row[1], row[-3:]) == ("restaurant_notified", ["1", "min", "0"])
    assert set(mined) <= set(lines)


def test_people_of_a_faster_load_have_less_time_and_handlers_have_not(lake_of: Callable[[Rows], None]) -> None:
    placed, notified, accepted, told, completed = an_order(*GOOD)
    notified["occurred_at"] += timedelta(seconds=30)
    for row in (accepted, told, completed):
        row["occurred_at"] += timedelta(seconds=60)
    ready = told | {"event_id": "ready", "cause": completed["event_id"], "occurred_at": completed["occurred_at"]}
    lake_of([placed, notified, accepted, told, completed, ready])
    assert check()[0] == 0
    code, facts = check("--speed", "60")
    assert code == 1
    assert [(one["kind"], one["events"]) for one in facts["deviations"]] == [("late", ["order_accepted"])]
    assert facts["deviations"][0]["what"] == "order_accepted 20.0 s past its deadline, 20 s after restaurant_notified"


def test_where_no_order_says_by_when_the_back_end_that_is_up_does(
    lake_of: Callable[[Rows], None], tmp_path: Path
) -> None:
    placed, notified = an_order("restaurant_notified")
    lake_of([placed, notified, an_event("order_placed", order_id="newest", after=10 + 59)])
    code, facts = check("--speed", "60")
    assert (code, [one["kind"] for one in facts["deviations"]]) == (1, ["overdue"])
    (tmp_path / "backend").write_text("localstack")
    assert check("--speed", "60")[0] == 0


def test_an_order_is_due_by_its_own_accept_by_and_told_so(lake_of: Callable[[Rows], None]) -> None:
    placed, notified = an_order("restaurant_notified")
    placed["accept_by"] = placed["occurred_at"] + timedelta(seconds=65)
    lake_of([placed, notified, an_event("order_placed", order_id="newest", after=69)])
    (overdue,) = (one for one in check("--speed", "60")[1]["deviations"] if one["kind"] == "overdue")
    assert overdue["what"].endswith("4.0 s past its deadline, 55 s after restaurant_notified")


def test_without_events_it_says_how_to_get_some(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(flow, "resolved", dict)
    monkeypatch.setattr("takeaway.stack.lake_errors.told_of_lake", lambda *_: None)
    monkeypatch.setattr(Lake, "from_environment", lambda _: Lake.open(str(tmp_path / "events"), {}))
    done = CliRunner().invoke(cli.app, ["flow", "check"])
    assert isinstance(done.exception, NoLake)
    assert "fix: run the archiver" in str(done.exception)


NASTY = "o'1\" $(reboot) `x`\x1b[2J\t\u202e; drop"


def test_what_an_order_is_called_is_obeyed_by_no_terminal_no_shell_and_no_sql(lake_of: Callable[[Rows], None]) -> None:
    lake_of([*an_order("restaurant_notified", "order_completed", order_id=NASTY), *an_order(order_id="other", after=9)])
    done = CliRunner().invoke(cli.app, ["flow", "check"])
    assert "o'1\" $(reboot) `x`\\u001b[2J\\t\\u202e; drop: " in done.stdout
    assert "\x1b" not in done.stdout
    _, facts = check()
    (look,) = {one["look"] for one in facts["deviations"] if one["order_id"] == NASTY}
    assert not {*look.replace('takeaway lake sql "', "").removesuffix('"')} & {*'"$`\\!;\x1b'}
    shown = CliRunner().invoke(cli.app, [*shlex.split(look)[1:], "--json"])
    assert [row["event_type"] for row in json.loads(shown.stdout)] == [
        "order_placed",
        "restaurant_notified",
        "order_completed",
    ]


@pytest.mark.parametrize("order_id", ["-rf", "~root", "=ls", "a b", "", "$HOME", "x\n", "*", "{a,b}", "ümlaut"])
def test_what_a_command_line_may_read_otherwise_is_named_by_its_digest(order_id: str) -> None:
    assert "md5(order_id) = '" in flow._look(order_id)
    assert flow._look("load:1/2@a.b=c+d_e-f") == "takeaway trace load:1/2@a.b=c+d_e-f"


def test_each_kind_has_words() -> None:
    notifier = RESTAURANT_NOTIFIER
    [restaurant] = [step for step in CORE if step.listens_to is RestaurantNotified]
    of = [
        Deviation(Kind.NEVER_PLACED, "o", ("order_accepted",), None, None, 1),
        Deviation(Kind.WRONG_ORDER, "o", ("order_completed",), None, None, 1),
        Deviation(Kind.WRONG_ORDER, "o", ("order_accepted",), restaurant, 0.25, 1, 600.0),
        Deviation(Kind.CONTRADICTORY, "o", ("order_accepted", "order_rejected"), None, None, 1),
        Deviation(Kind.MISSING, "o", (), notifier, 7260.0, 1, 60.0),
        Deviation(Kind.TWICE, "o", ("order_placed",), None, None, 2),
        Deviation(Kind.LATE, "o", ("order_rejected",), restaurant, 601.5, 1, 600.0),
        Deviation(Kind.OVERDUE, "o", (), restaurant, 86_400.0 * 9, 1, 600.0),
        Deviation(Kind.OVERDUE, "o", (), restaurant, 1.0, 1, -9.5),
    ]
    assert [flow._what(one) for one in of] == [
        "it begins with order_accepted",
        "order_completed without order_accepted",
        "order_accepted 250 ms before restaurant_notified",
        "order_accepted and order_rejected",
        "no restaurant_notified, 2 h past its deadline, 1 min after order_placed",
        "order_placed 2 times",
        "order_rejected 1.5 s past its deadline, 10 min after restaurant_notified",
        "no order_accepted or order_rejected, 9 days past its deadline, 10 min after restaurant_notified",
        "no order_accepted or order_rejected, 10.5 s past its deadline, 9.5 s before restaurant_notified",
    ]


def test_the_mined_flow_is_drawn(lake_of: Callable[[Rows], None]) -> None:
    lake_of([*an_order(*GOOD, order_id="one"), *an_order("restaurant_notified", order_id="two")])

    def show(*arguments: str) -> str:
        done = CliRunner().invoke(cli.app, ["flow", "show", "--mined", *arguments])
        assert done.exit_code == 0, done.output
        return done.stdout

    drawn = show("--mermaid")
    assert 'restaurant_notifier -- "restaurant_notified<br/>2 · 95 % in 10.0 s" --> restaurant' in drawn
    assert 'customer -- "order_placed<br/>2" --> restaurant_notifier' in drawn
    assert {re.sub(r'"(\w+)<br/>[^"]*"', r"\1", line) for line in drawn.splitlines()} == {*mermaid().splitlines()}
    edges = json.loads(show("--json"))
    assert {(edge["hears"], edge["tells"]): edge["count"] for edge in edges if edge["count"]} == {
        (None, "order_placed"): 2,
        ("order_placed", "restaurant_notified"): 2,
        ("restaurant_notified", "order_accepted"): 1,
        ("order_accepted", "user_notified"): 1,
        ("order_accepted", "order_completed"): 1,
    }
    assert [edge["tells"] for edge in edges] == [EVENT_TYPES[told] for step in CHOREOGRAPHY for told in step.publishes]
    rows = [line.split("\t")[:3] for line in show().splitlines()]
    assert ["restaurant_notifier", "order_placed", "restaurant_notified"] in rows
    refused = CliRunner().invoke(cli.app, ["flow", "show", "--mined", "--asyncapi"])
    assert "declared" in str(refused.exception)
