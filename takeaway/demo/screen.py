"""What only the demo knows, as two lines on the screen of `takeaway top`, and as one line for a pipe. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rich.text import Text

from events import EVENT_TYPES, OrderPlaced
from foundation.plain_text import one_line
from takeaway.audit import outcomes
from takeaway.overview import Overview, lines

_PLACED = EVENT_TYPES[OrderPlaced]
# A shorter bar tells little.
_BAR, _LEAST_BAR = 30, 6


@dataclass(frozen=True)
class View:
    """One moment of a demo: `seconds` since its load began, of about `expected` until all is in the lake.

    `counts` are distinct events on the stream by type, `records` all of them; `lake_rows` of them are in the lake.
    `stopping` is what a Ctrl-C waits for, empty without one.
    """

    phase: str
    seconds: float
    expected: float
    orders: int
    counts: Mapping[str, int] = field(default_factory=dict)
    records: int = 0
    lake_rows: int = 0
    stopping: str = ""

    @property
    def placed(self) -> int:
        return self.counts.get(_PLACED, 0)


def screen(view: View, overview: Overview | None, width: int, height: int) -> Sequence[Text]:
    """The screen of `takeaway top`, and the demo's lines on it; those alone before the first look."""
    notes = [Text(one_line(view.stopping), "bold yellow")] if view.stopping else []
    notes += [_progress(view, width), _ends(view)]
    for line in notes:
        line.truncate(width, overflow="ellipsis")
    if overview is None:
        return [Text("takeaway demo", "bold"), *notes, Text("looking", "dim")][:height]
    return lines(overview, width, height, title="takeaway demo", notes=notes)


def plain(view: View) -> str:
    """One line for a log or a pipe."""
    counts = " ".join(f"{name}={view.counts.get(name, 0)}" for name in EVENT_TYPES.values())
    return f"{view.seconds:5.1f}s  {view.phase}  {counts}  lake_rows={view.lake_rows}"


def _progress(view: View, width: int) -> Text:
    """How far the load is, with a bar where there is room for one, and for how long."""
    told = f"{view.placed:,} of {view.orders:,}  {view.seconds:.0f} of about {view.expected:.0f} s"
    room = min(_BAR, width - len(view.phase) - len(told) - 4)
    bar: list[str | tuple[str, str]] = []
    if room >= _LEAST_BAR:
        done = min(room, room * view.placed // max(1, view.orders))
        bar = [("━" * done, "green"), ("·" * (room - done), "dim"), "  "]
    return Text.assemble((one_line(view.phase), "cyan"), "  ", *bar, told)


def _ends(view: View) -> Text:
    """How many orders came to which end, also to none so far, and how far the lake is."""
    ends = [part for state, count in outcomes(view.counts).items() for part in ((f"{count:,}", "bold"), f" {state}  ")]
    return Text.assemble(*ends, (f"{view.lake_rows:,}", "bold"), f" of {view.records:,} in the lake")
