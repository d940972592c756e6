"""The demo's live screen: the orders' ends, each event with its count, the processes, the latest events. Plain lines
for a pipe.

It is made for 80 columns and 24 lines; what a smaller terminal has no room for stands last.
"""

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

from events import CHOREOGRAPHY, EVENT_TYPES, OrderPlaced
from producers.load.live import LoadCounts
from takeaway.audit import StreamObserver, outcomes
from takeaway.local import Running
from takeaway.terminal import PlainConsole

_PLACED = EVENT_TYPES[OrderPlaced]


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
    return Group(_headline(view), _ends(view), _flow(view), _processes(view), _latest(view))


def plain(view: View) -> str:
    """One line for a log or a pipe."""
    counts = " ".join(f"{name}={view.observer.counts[name]}" for name in EVENT_TYPES.values())
    return f"{view.elapsed.total_seconds():5.1f}s  {view.phase}  {counts}  lake_rows={view.lake_rows}"


def _ends(view: View) -> RenderableType:
    """How many orders came to which end, also to none so far."""
    ends = outcomes(view.observer.counts)
    under_way = max(0, view.observer.counts[_PLACED] - sum(ends.values()))
    shown = [*((f"{count:,}", state) for state, count in ends.items()), (f"{under_way:,}", "under way")]
    return Text("   ").join(Text.assemble((count, "bold"), f" {state}") for count, state in shown)


def _headline(view: View) -> RenderableType:
    return Text.assemble(
        ("takeaway ", "bold"),
        (view.phase, "cyan"),
        f"   {view.elapsed.total_seconds():.0f} s\n",
        (f"{view.observer.events:,}", "bold"),
        " events on the stream   ",
        (f"{view.lake_rows:,}", "bold"),
        " rows in the lake",
    )


def _flow(view: View) -> RenderableType:
    """Each event once, under the one who tells it."""
    table = Table(box=None, padding=(0, 2, 0, 0), expand=True)
    table.add_column("who", no_wrap=True)
    table.add_column("tells", no_wrap=True)
    table.add_column("events", justify="right", no_wrap=True)
    table.add_column("", ratio=1)
    told = {event: step.actor for step in reversed(CHOREOGRAPHY) for event in step.publishes}
    before = ""
    for event in dict.fromkeys(event for step in CHOREOGRAPHY for event in step.publishes):
        name, who = EVENT_TYPES[event], told[event]
        count = view.observer.counts[name]
        bar = ProgressBar(total=max(view.target_orders, 1), completed=count)
        table.add_row("" if who == before else who, name, f"{count:,}", bar)
        before = who
    return Panel(table, title="the flow", title_align="left", border_style="dim")


def _latest(view: View) -> RenderableType:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for envelope in view.observer.latest:
        table.add_row(
            Text(f"{envelope.occurred_at:%H:%M:%S.%f}"[:-3], style="dim"), envelope.order_id[:13], envelope.event_type
        )
    return Panel(table, title="latest events", title_align="left", border_style="dim")


def _processes(view: View) -> RenderableType:
    """In as few lines as they fit into; one that has ended is what there is to see."""
    up = [running.name for running in view.processes if running.process()]
    ended = [f"{running.name} (pid {running.pid}) ended" for running in view.processes if not running.process()]
    return Group(Text(f"up: {' · '.join(up)}", style="dim"), *(Text(one, style="red") for one in ended))


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
