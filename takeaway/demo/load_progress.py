"""How far a load is, on standard error."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from producers.load.live import LoadCounts
from takeaway.terminal import PlainConsole


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
