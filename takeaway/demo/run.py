"""The whole flow in about a minute: a local AWS of its own, real processes, a load, the audit's receipt, the report."""

import shlex
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console, Group
from rich.live import Live

from foundation.clock import SYSTEM_CLOCK, uninterrupted_wait
from foundation.settings import variable
from takeaway.audit import (
    Bounds,
    StreamObserver,
    audited,
    intended_times,
    latencies,
    ledger_facts,
    write_report,
)
from takeaway.demo.conclusion import conclude
from takeaway.demo.screen import plain, screen
from takeaway.demo.watching import Pace, Watch
from takeaway.live import looking
from takeaway.local import Backend, free_port
from takeaway.overview import Gatherer
from takeaway.stack import LOAD, Stack, at_speed, start_flow
from takeaway.terminal import Interrupted, private_folder, say, typed

# A slow machine tells some events again, which the stream allows. No row is doubled by that, and no effect repeated.
AT_LEAST_ONCE = Bounds(repeated_events=sys.maxsize)
# How long what was sent may take to be seen.
REST_SECONDS = 30.0
# A demo wants to show fresh files; a lake wants big ones. Only the demo commits this often.
LAKE_FILE_AGE = "5"
# One read of a shard a second is what the consumers' shares leave for looking on. At a terminal the overview has half
# of it, and the count of what passes the other half.
_OVERVIEW_SECONDS = 2.0
_AT_A_TERMINAL = Pace(look=2.0, show=0.5)
_PIPED = Pace(look=1.0, show=5.0)


@dataclass(frozen=True)
class DemoPlan:
    backend: Backend
    orders: int
    rate: float
    speed: float
    seed: int


_WHILE_STARTING = "waits for what is being started, and ends it"
_WHILE_LOADED = "waits for the load's end and the audit"
_WHILE_AUDITED = "waits for the audit, and for the processes to finish what they have"
_WHILE_ENDING = "waits for the processes to finish what they have"


def demo(plan: DemoPlan, *, home: Path, keep: bool, console: Console) -> int:
    """Runs the demo and answers with its exit code.

    That is 0 when nothing is lost, doubled or done twice, and every order came to its end. A Ctrl-C leaves orders open,
    and is no failure. `home` is a folder of this demo's own.
    """
    started = SYSTEM_CLOCK.monotonic()
    private_folder(home)
    stack = Stack(home, following=not keep)
    interrupted = Interrupted(_WHILE_STARTING)
    kept = False
    with interrupted.watching():
        try:
            console.print(
                f"seed {plan.seed} · {plan.orders} orders at {plan.rate:g}/s · kitchens {plan.speed:g} times as fast"
            )
            if not _start(stack, plan, interrupted.event, console):
                console.print("stopped before the first order was placed")
                return 0
            interrupted.waits_for = _WHILE_LOADED
            flow_started = SYSTEM_CLOCK.monotonic()
            _run_load(stack, plan, interrupted, console)
            interrupted.waits_for = _WHILE_AUDITED
            seconds = SYSTEM_CLOCK.monotonic() - flow_started
            if not ledger_facts(home / "ledger"):
                console.print("stopped before the first order was placed")
                return 0
            evidence, verdict = audited(
                stack.environ, home / "ledger", AT_LEAST_ONCE, within=REST_SECONDS, wait=uninterrupted_wait()
            )
            told = latencies(intended_times(home / "ledger"), evidence.effects)
            ok = verdict.ok and (interrupted.event.is_set() or (verdict.at_rest and not verdict.open_orders))
            conclude(verdict, told, home / "logs", console, ok=ok)
            report = write_report(stack.environ, home / "report.html", verdict).resolve()
            console.print(f"the flow took {seconds:.0f} s · report: {report}", highlight=False, soft_wrap=True)
            kept = keep and not interrupted.event.is_set()
            return 0 if ok else 1
        finally:
            interrupted.waits_for = _WHILE_ENDING
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


def _start(stack: Stack, plan: DemoPlan, stop: threading.Event, console: Console) -> bool:
    """False where it was stopped before all was up."""

    def flow() -> None:
        stack.environ[variable("lake_file_age")] = LAKE_FILE_AGE
        stack.environ = at_speed(plan.speed, plan.backend.name) | stack.environ
        start_flow(stack, free_port())

    steps: tuple[tuple[str, Callable[[], object]], ...] = (
        (f"starting a local AWS ({plan.backend.name})", lambda: stack.start_local_aws(plan.backend, free_port())),
        ("deploying the stack", stack.deploy),
        ("starting the API and every consumer", flow),
    )
    for what, step in steps:
        if stop.is_set():
            return False
        with console.status(what):
            step()
    names = ", ".join(f"{one.name} (pid {one.pid})" for one in stack.running)
    console.print(f"started: {names}", style="dim", highlight=False, soft_wrap=True)
    return not stop.is_set()


def _run_load(stack: Stack, plan: DemoPlan, interrupted: Interrupted, console: Console) -> None:
    """Places the orders and watches until the last event of the last one is in the lake."""
    load = stack.start(
        LOAD,
        *("load", "--restaurants", "--orders", str(plan.orders), "--rate", str(plan.rate), "--speed", str(plan.speed)),
        *("--seed", str(plan.seed), "--api", stack.api, "--ledger", str(stack.home / "ledger")),
    )
    # The last order has its time for an answer, and the last file comes at its age.
    seconds = plan.orders / plan.rate + float(stack.environ[variable("accept_within_seconds")]) + float(LAKE_FILE_AGE)
    observer, wait = StreamObserver(stack.environ), uninterrupted_wait()
    watch = Watch(stack, plan.orders, seconds, load, observer, interrupted, SYSTEM_CLOCK, wait)
    if not console.is_terminal:
        watch.until_done(lambda view: console.print(plain(view), highlight=False, soft_wrap=True), _PIPED)
        return
    gatherer = Gatherer(stack.environ, stack.home, clock=SYSTEM_CLOCK, wait=wait)
    live = Live(console=console, screen=True, auto_refresh=False)
    with looking(gatherer, _OVERVIEW_SECONDS) as newest, _shown_by(interrupted), live:
        watch.until_done(
            lambda view: live.update(Group(*screen(view, newest(), console.width, console.height)), refresh=True),
            _AT_A_TERMINAL,
        )


@contextmanager
def _shown_by(interrupted: Interrupted) -> Iterator[None]:
    """While the screen shows what a Ctrl-C waits for, no line is written into it; the line is left behind it."""
    interrupted.silent = True
    try:
        yield
    finally:
        interrupted.silent = False
        if interrupted.event.is_set():
            say(interrupted.told, file=sys.stderr)
