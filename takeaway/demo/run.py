"""The whole flow in about a minute: a local AWS of its own, real processes, a load, the audit's receipt, the report."""

import os
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.live import Live

from foundation.clock import SYSTEM_CLOCK
from foundation.settings import variable
from takeaway.audit import (
    Audit,
    Bounds,
    Latency,
    StreamAway,
    StreamObserver,
    audited,
    intended_times,
    lake_has,
    lake_rows,
    latencies,
    ledger_facts,
    write_report,
)
from takeaway.demo.screen import View, plain, render
from takeaway.errors import UserError
from takeaway.local import Backend, Running, exit_code, free_port, stop_processes
from takeaway.stack import LOAD, Stack, api_url, at_speed, require_alive, start_flow
from takeaway.terminal import private_folder, typed

# After the load has ended: how long the last events may take to reach the lake before that is called a loss.
DRAIN_SECONDS = 45.0
# And how long what was sent may take to be seen.
REST_SECONDS = 30.0
# A demo wants to show fresh files; a lake wants big ones. Only the demo commits this often.
LAKE_FILE_AGE = "5"
# One read a second is what the consumers' shares leave for looking on.
_LOOK_SECONDS = 1.0
_LAKE_LOOK_SECONDS = 2.0
_PLAIN_LINE_SECONDS = 5.0


@dataclass(frozen=True)
class DemoPlan:
    backend: Backend
    orders: int
    rate: float
    speed: float
    seed: int


_STOPPING = (
    b"\nstopping: waits for the load to end, for the consumers to finish what they have, and for the audit; "
    b"Ctrl-C again ends it now\n"
)


class Interrupted:
    """The first Ctrl-C or SIGTERM asks for an orderly end; the second one means now."""

    def __init__(self) -> None:
        self.event = threading.Event()

    @contextmanager
    def watching(self) -> Iterator[None]:
        before = {number: signal.signal(number, self._heard) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _heard(self, _number: int, _frame: FrameType | None) -> None:
        if self.event.is_set():
            raise KeyboardInterrupt
        self.event.set()
        # By itself: what prints may be in the middle of a line, and holds a lock.
        os.write(sys.stderr.fileno(), _STOPPING)


def demo(plan: DemoPlan, *, home: Path, keep: bool, console: Console) -> int:
    """Runs the demo and answers with its exit code: 0 when the audit found nothing and every order came to its end.

    A Ctrl-C leaves orders open, and is no failure. `home` is a folder of this demo's own.
    """
    started = SYSTEM_CLOCK.monotonic()
    private_folder(home)
    stack = Stack(home, following=not keep)
    interrupted = Interrupted()
    kept = False
    with interrupted.watching():
        try:
            console.print(
                f"seed {plan.seed} · {plan.orders} orders at {plan.rate:g}/s · kitchens {plan.speed:g} times as fast"
            )
            api_port = _start(stack, plan, console)
            flow_started = SYSTEM_CLOCK.monotonic()
            _run_load(stack, plan, api_port, interrupted.event, console)
            seconds = SYSTEM_CLOCK.monotonic() - flow_started
            if not ledger_facts(home / "ledger"):
                console.print("stopped before the first order was placed")
                return 0
            evidence, verdict = audited(
                stack.environ, home / "ledger", Bounds(), within=REST_SECONDS, wait=interrupted.event.wait
            )
            told = latencies(intended_times(home / "ledger"), evidence.effects)
            ok = verdict.ok and (interrupted.event.is_set() or (verdict.at_rest and not verdict.open_orders))
            _conclude(verdict, told, console, ok=ok)
            report = write_report(stack.environ, home / "report.html", verdict).resolve()
            console.print(f"the flow took {seconds:.0f} s · report: {report}", highlight=False, soft_wrap=True)
            kept = keep and not interrupted.event.is_set()
            return 0 if ok else 1
        finally:
            if kept:
                program = typed()
                console.print("everything stays up. See the lake, then stop it:", highlight=False)
                for command in ("lake sql 'select event_type, count(*) as events from events group by all'", "down"):
                    console.print(
                        f"TAKEAWAY_HOME={shlex.quote(str(home))} {program} {command}", highlight=False, soft_wrap=True
                    )
            else:
                stack.stop()
            console.print(f"{SYSTEM_CLOCK.monotonic() - started:.0f} s in all", style="dim")


def _start(stack: Stack, plan: DemoPlan, console: Console) -> int:
    with console.status(f"starting a local AWS ({plan.backend.name})"):
        stack.start_local_aws(plan.backend, free_port())
    with console.status("deploying the stack"):
        stack.deploy()
    stack.environ[variable("lake_file_age")] = LAKE_FILE_AGE
    stack.environ = at_speed(plan.speed, plan.backend.name) | stack.environ
    api_port = free_port()
    with console.status("starting the API and every consumer"):
        start_flow(stack, api_port)
    names = ", ".join(f"{one.name} (pid {one.pid})" for one in stack.running)
    console.print(f"started: {names}", style="dim", highlight=False, soft_wrap=True)
    return api_port


def _run_load(stack: Stack, plan: DemoPlan, api_port: int, stop: threading.Event, console: Console) -> None:
    """Places the orders and watches until the last event of the last one is in the lake."""
    load = stack.start(
        LOAD,
        *("load", "--restaurants", "--orders", str(plan.orders), "--rate", str(plan.rate), "--speed", str(plan.speed)),
        *("--seed", str(plan.seed), "--api", api_url(api_port), "--ledger", str(stack.home / "ledger")),
    )
    watch = _Watch(stack, plan, load, StreamObserver(stack.environ), stop)
    if console.is_terminal:
        with Live(render(watch.view()), console=console, refresh_per_second=4, transient=True) as live:
            watch.until_done(lambda view: live.update(render(view)), every=_LOOK_SECONDS)
    else:
        watch.until_done(
            lambda view: console.print(plain(view), highlight=False, soft_wrap=True), every=_PLAIN_LINE_SECONDS
        )


@dataclass
class _Watch:
    """One demo's load being watched; `view()` is what there is to see."""

    stack: Stack
    plan: DemoPlan
    load: Running
    observer: StreamObserver
    stop: threading.Event
    lake_rows: int = 0
    phase: str = "orders are being placed"

    def __post_init__(self) -> None:
        self._started = SYSTEM_CLOCK.monotonic()

    def view(self) -> View:
        elapsed = timedelta(seconds=SYSTEM_CLOCK.monotonic() - self._started)
        return View(self.phase, elapsed, self.plan.orders, self.observer, self.lake_rows, self.stack.running)

    def until_done(self, show: Callable[[View], None], *, every: float) -> None:
        shown = lake_looked_at = 0.0
        drain_deadline: float | None = None
        pause = threading.Event()
        while True:
            self._look()
            now = SYSTEM_CLOCK.monotonic()
            if now - lake_looked_at >= _LAKE_LOOK_SECONDS:
                self.lake_rows, lake_looked_at = lake_rows(self.stack.environ), now
            if now - shown >= every:
                show(self.view())
                shown = now
            if drain_deadline is None:
                if self.stop.is_set():
                    stop_processes([self.load], grace=20)
                if self.load.process() is None:
                    self._require_load_ended_well()
                    self.phase = "the last events are on their way into the lake"
                    drain_deadline = now + DRAIN_SECONDS
                else:
                    others = [one for one in self.stack.running if one is not self.load]
                    require_alive(others)
            elif self._drained() or now > drain_deadline:
                if shown != now:
                    show(self.view())
                return
            pause.wait(_LOOK_SECONDS)

    def _look(self) -> None:
        try:
            self.observer.look()
        except StreamAway:
            # One bad answer is nothing; a local AWS that is gone is what there is to say.
            require_alive(one for one in self.stack.running if one is not self.load)

    def _drained(self) -> bool:
        promised = {fact.event_id for fact in ledger_facts(self.stack.home / "ledger") if fact.certain}
        if not promised <= self.observer.seen:
            return False
        return self.lake_rows >= self.observer.records or lake_has(self.stack.environ, self.observer.records)

    def _require_load_ended_well(self) -> None:
        if exit_code(self.load) not in (0, 1) and not self.stop.is_set():
            raise UserError("the load ended with an error", f"read {self.load.log}")


def _conclude(verdict: Audit, told: Sequence[Latency], console: Console, *, ok: bool) -> None:
    console.print(f"\n{verdict.receipt}", style="bold green" if ok else "bold red", soft_wrap=True)
    for finding in verdict.findings[:20]:
        console.print(f"  {finding.kind}: {finding.what}", soft_wrap=True)
    for line in verdict.waiting_for:
        console.print(f"  {line}", soft_wrap=True)
    for latency in told:
        console.print(str(latency), highlight=False)
