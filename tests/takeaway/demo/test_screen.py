"""The demo's screen: every end of an order is on it, on the smallest usual terminal."""

import io
from collections import Counter
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

from rich.console import Console

from events.choreography import CHOREOGRAPHY
from events.orders import EVENT_TYPES
from events.states import FINAL
from takeaway.demo.screen import View, plain, render
from takeaway.local import Running
from tests.support.builders import NOON

if TYPE_CHECKING:
    from takeaway.audit import StreamObserver

TOLD = {EVENT_TYPES[event] for step in CHOREOGRAPHY for event in step.publishes}
ENDED = {"order_completed": 540, "order_rejected": 18, "order_cancelled": 8, "order_expired": 6}


def a_process(name: str, *, up: bool) -> Running:
    return cast("Running", SimpleNamespace(name=name, pid=7, process=lambda: object() if up else None))


def a_view(*processes: Running) -> View:
    counts = Counter(dict.fromkeys(TOLD, 600)) | Counter(order_placed=600)
    latest = [SimpleNamespace(occurred_at=NOON, order_id="order-1", event_type="order_placed")] * 8
    observer = SimpleNamespace(events=3123, counts=Counter({**counts, **ENDED}), latest=latest)
    phase = "the last events are on their way into the lake"
    return View(phase, timedelta(seconds=43), 600, cast("StreamObserver", observer), 3100, processes)


def shown(view: View) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=80, height=24, color_system=None, force_terminal=True).print(render(view))
    return out.getvalue().splitlines()[:24]


def test_all_ends_and_all_events_are_on_a_terminal_of_80_by_24() -> None:
    up = [a_process(name, up=True) for name in ("api", "restaurant_notifier", "user_notifier", "archiver", "load")]
    lines = shown(a_view(*up))
    assert all(len(line) <= 80 for line in lines)
    assert "540 completed   18 rejected   8 cancelled   6 expired   28 under way" in lines
    rows = [line.split() for line in lines]
    for name in TOLD:
        [row] = [row for row in rows if name in row and "order-1" not in row]
        assert f"{ENDED.get(name, 600)}" in row
    assert "up: api · restaurant_notifier · user_notifier · archiver · load" in lines
    assert {f"order_{state}" for state in FINAL} == ENDED.keys()


def test_a_process_that_ended_is_told() -> None:
    lines = shown(a_view(a_process("api", up=True), a_process("load", up=False)))
    assert "up: api" in lines
    assert "load (pid 7) ended" in lines


def test_a_pipe_has_every_count() -> None:
    line = plain(a_view())
    assert all(f" {name}={ENDED.get(name, 600)} " in line for name in TOLD)
