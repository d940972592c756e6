"""The demo's live screen: the flow with its counts, the latest events, the processes. Plain lines for a pipe."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from events import CHOREOGRAPHY, EVENT_TYPES
from producers.load.live import LoadCounts
from takeaway.audit import StreamObserver
from takeaway.local import Running
from takeaway.terminal import PlainConsole


@dataclass(frozen=True)
class View:
    """What the screen shows at one moment."""

    phase: str
    elapsed: timedelta
    target_orders: int
    observer: StreamObserver
    lake_rows: int
    processes: Sequence[Running]


def render(view: View) -> RenderableType:
    return Group(_headline(view), _flow(view), _latest(view), _processes(view))


def plain(view: View) -> str:
    """One line for a log or a pipe."""
    counts = " ".join(f"{name}={view.observer.counts[name]}" for name in EVENT_TYPES.values())
    return f"{view.elapsed.total_seconds():5.1f}s  {view.phase}  {counts}  lake_rows={view.lake_rows}"


def _headline(view: View) -> RenderableType:
    return Text.assemble(
        ("takeaway ", "bold"),
        (view.phase, "cyan"),
        f"   {view.elapsed.total_seconds():.0f} s   ",
        (f"{view.observer.events:,}", "bold"),
        " events on the stream   ",
        (f"{view.lake_rows:,}", "bold"),
        " rows in the lake",
    )


def _flow(view: View) -> RenderableType:
    table = Table(box=None, padding=(0, 2, 0, 0), expand=False)
    table.add_column("who")
    table.add_column("hears")
    table.add_column("tells")
    table.add_column("events", justify="right")
    table.add_column("")
    for step in CHOREOGRAPHY:
        for event in step.publishes:
            name = EVENT_TYPES[event]
            count = view.observer.counts[name]
            table.add_row(
                step.actor,
                Text(EVENT_TYPES[step.listens_to] if step.listens_to else "", style="dim"),
                name,
                f"{count:,}",
                ProgressBar(total=max(view.target_orders, 1), completed=count, width=28),
            )
    return Panel(table, title="the flow", title_align="left", border_style="dim")


def _latest(view: View) -> RenderableType:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for envelope in view.observer.latest:
        table.add_row(
            Text(f"{envelope.occurred_at:%H:%M:%S.%f}"[:-3], style="dim"), envelope.order_id[:13], envelope.event_type
        )
    return Panel(table, title="latest events", title_align="left", border_style="dim")


def _processes(view: View) -> RenderableType:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for running in view.processes:
        process = running.process()
        alive = Text("up", style="green") if process else Text("ended", style="red")
        table.add_row(running.name, f"pid {running.pid}", alive)
    return Panel(table, title="processes", title_align="left", border_style="dim")


@contextmanager
def load_bar(orders: int) -> Iterator[Callable[[LoadCounts], None]]:
    """A bar on stderr that fills as orders are placed; nothing where stderr is no terminal."""
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=PlainConsole(stderr=True),
        transient=True,
    ) as progress:
        task = progress.add_task("0 orders placed", total=orders)

        def show(counts: LoadCounts) -> None:
            told = f"{counts.acknowledged} orders placed, {counts.accepted} accepted, {counts.ended} done"
            progress.update(task, description=told, completed=counts.acknowledged)

        yield show
