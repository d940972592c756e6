"""The demo's screen is that of `takeaway top`, with two lines of its own; nothing of either is lost at 80 by 24."""

from collections import Counter

import pytest

from events.choreography import CHOREOGRAPHY
from events.orders import EVENT_TYPES
from events.states import FINAL
from takeaway.demo.screen import View, plain, screen
from takeaway.overview import EventFlow, Overview
from tests.takeaway.overview.an_overview import NAMES, a_process, an_overview

TOLD = {EVENT_TYPES[event] for step in CHOREOGRAPHY for event in step.publishes}
ENDED = {"order_completed": 540, "order_rejected": 18, "order_cancelled": 12, "order_expired": 6}
COUNTS = Counter({**dict.fromkeys(TOLD, 600), **ENDED})
STOPPING = "stopping: waits for the load's end and the audit; Ctrl-C again ends it at once"


def a_view(phase: str = "orders are being placed", *, placed: int = 600, stopping: str = "") -> View:
    return View(phase, 43.2, 49.0, 600, COUNTS | {"order_placed": placed}, 3123, 3100, stopping)


def flowing() -> Overview:
    return an_overview(events=tuple(EventFlow(name, 600, 12.5) for name in sorted(TOLD)))


def shown(view: View, overview: Overview | None, width: int = 80, height: int = 24) -> list[str]:
    return [line.plain for line in screen(view, overview, width, height)]


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 40)])
@pytest.mark.parametrize("stopping", ["", STOPPING])
def test_what_the_demo_knows_and_what_top_shows_are_all_there(width: int, height: int, stopping: str) -> None:
    told = shown(a_view("the last events are on their way into the lake", stopping=stopping), flowing(), width, height)
    assert len(told) <= height
    assert all(len(line) <= width for line in told)
    assert told[0].startswith("takeaway demo  takeaway on 127.0.0.1")
    own = told[2:4] if stopping else told[1:3]
    assert own[0].startswith("the last events are on their way into the lake  ")
    assert own[0].endswith("600 of 600  43 of about 49 s")
    assert own[1] == "540 completed  18 rejected  12 cancelled  6 expired  3,100 of 3,123 in the lake"
    assert (told[1] == stopping) == bool(stopping)
    for said in ("no problems", "shardId-000000000001", "3 placed   8 accepted", "slowest step restaurant", "44c4f842"):
        assert any(said in line for line in told), said
    for name in NAMES:
        assert any(line.split()[1:2] == [name] and "pid 4242" in line for line in told), name
    assert {f"order_{state}" for state in FINAL} == ENDED.keys()


def test_each_event_with_its_count_and_rate_is_there_where_it_has_room() -> None:
    told = shown(a_view(), flowing(), 120, 40)
    rows = [line.split() for line in told]
    assert all([name, "600", "12.5"] in rows for name in TOLD)
    assert not any(line.startswith("voucher_issued") for line in shown(a_view(), flowing()))


def test_a_process_that_ended_is_told_as_by_top() -> None:
    told = shown(a_view(), an_overview(processes=(a_process("watcher", up=False),)))
    assert "✗ watcher (pid 4242) has ended" in told


@pytest.mark.parametrize(("placed", "done"), [(0, 0), (300, 15), (600, 30), (700, 30)])
def test_the_bar_says_how_many_orders_are_placed(placed: int, done: int) -> None:
    line = shown(a_view(placed=placed), flowing(), 120, 40)[1]
    assert line == (f"orders are being placed  {'━' * done}{'·' * (30 - done)}  {placed} of 600  43 of about 49 s")


def test_before_the_first_look_there_is_what_the_demo_knows() -> None:
    told = shown(a_view(stopping=STOPPING), None)
    assert (told[0], told[1], told[-1]) == ("takeaway demo", STOPPING, "looking")
    assert len(told) == 5


def test_a_pipe_has_every_count() -> None:
    line = plain(a_view())
    assert line.startswith(" 43.2s  orders are being placed  order_placed=600 ")
    assert line.endswith("  lake_rows=3100")
    assert all(f" {name}={COUNTS[name]} " in line for name in TOLD)
