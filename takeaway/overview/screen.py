"""An overview as lines for a terminal, as wide and as high as there is room. Pure; a colour is never all that tells.

Made for 80 columns and 24 lines. With 60 columns those that say least are left out; with more lines there are more
shards, orders and deadlines, and the events as they come.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from rich.text import Text

from events import EVENT_TYPES
from foundation.kinesis import WRITE_BYTES_PER_SECOND, WRITE_RECORDS_PER_SECOND
from foundation.plain_text import one_line
from takeaway.overview.facts import ConsumerFlow, Overview, ShardFlow, StepTime, Unknown
from takeaway.overview.findings import problems, seconds_in_words
from takeaway.standing import Verdict
from takeaway.terminal import counted

_MARKS = {
    Verdict.OK: ("✓", "green"),
    Verdict.WARN: ("!", "yellow"),
    Verdict.STALLED: ("✗", "bold red"),
    Verdict.STOPPED: ("✗", "bold red"),
}
_WIDE = 100
_KEYS = "↑↓ choose · enter trace · q quit"
# So much of an order's id tells it from others; the trace is given all of it.
_ORDER = 13
_SHORT = 8
_LIFE = {event_type: number for number, event_type in enumerate(EVENT_TYPES.values())}


@dataclass(frozen=True)
class Row:
    """A line of a table, and the order that it names, if it names one."""

    cells: Sequence[str]
    style: str = ""
    order_id: str | None = None


@dataclass(frozen=True)
class Column:
    """`right`: its cells are numbers. `least`: it is left out where the terminal has fewer columns."""

    name: str
    right: bool = False
    least: int = 0


def order_ids(overview: Overview) -> tuple[str, ...]:
    """The orders that the screen names, in its order, each once: those whose trace can be opened."""
    named = [row.order_id for row in (*_consumer_rows(overview), *_order_rows(overview)) if row.order_id]
    return tuple(dict.fromkeys(named))


def lines(
    overview: Overview,
    width: int,
    height: int,
    *,
    chosen: str | None = None,
    keys: bool = False,
    title: str = "takeaway top",
    notes: Sequence[Text] = (),
) -> list[Text]:
    """At most `height` lines of at most `width` columns. `chosen` is the order whose trace a key opens.

    `notes` are lines of another's own below the headline, of which `title` says whose screen it is.
    """
    footer = [_footer(overview, width, chosen, keys=keys)]
    head = [_headline(overview, title), *notes, *_said(overview, width, height)]
    consumers = _table(_CONSUMER_COLUMNS, _consumer_rows(overview), width, chosen)
    orders = _table(_ORDER_COLUMNS, _order_rows(overview), width, chosen)
    state = [_states(overview), _slowest(overview)]
    room = height - len(head) - len(consumers) - len(state) - len(footer)
    shards = _shards(overview, width, max(2, room - max(2, min(len(orders), room // 2))))
    room -= len(shards)
    orders = orders[:room] if room > 1 else []
    shown = [*head, *shards, *consumers, *state, *orders, *_events(overview, width, room - len(orders))]
    for line in shown:
        line.truncate(width, overflow="ellipsis")
    return [*shown[: max(1, height - len(footer))], *footer]


def _headline(overview: Overview, title: str) -> Text:
    where = overview.endpoint.removeprefix("http://")
    return Text.assemble((title, "bold"), f"  {overview.stack} on {where}  {overview.at:%H:%M:%S} UTC", no_wrap=True)


def _said(overview: Overview, width: int, height: int) -> list[Text]:
    found = problems(overview)
    if not found:
        return [Text("no problems", "green")]
    most = 2 if height <= 24 else 5
    shown = [Text(f"✗ {one_line(said)}", "bold red") for said in found[:most]]
    if len(found) > most:
        more = f" (and {len(found) - most} more)"
        shown[-1].truncate(width - len(more), overflow="ellipsis")
        shown[-1].append(more)
    return shown


def _shards(overview: Overview, width: int, room: int) -> list[Text]:
    """The fullest first: `room` lines at most, the heading and what is left out among them."""
    if isinstance(overview.shards, Unknown):
        return [_unknown("shards", overview.shards.unknown)]
    ranked = sorted(overview.shards, key=lambda one: (one.share is not None, -(one.share or 0.0), one.shard_id))
    shown = ranked if len(ranked) < room else ranked[: max(1, room - 2)]
    told = _table(_SHARD_COLUMNS, [_shard(one) for one in shown], width, None)
    if left := len(ranked) - len(shown):
        told.append(Text(f"  and {counted(left, 'shard')} that take less", "dim"))
    return told


def _shard(shard: ShardFlow) -> Row:
    if shard.trouble is not None or shard.records_per_second is None or shard.bytes_per_second is None:
        return Row((shard.shard_id, "?", "?", "", one_line(shard.trouble or "unknown")), "yellow")
    share = shard.share or 0.0
    return Row(
        (
            shard.shard_id,
            f"{shard.records_per_second:,.1f}",
            f"{shard.bytes_per_second / 1024:,.1f}",
            f"{share:.0%}",
            "HOT" if shard.hot else "",
        ),
        "bold red" if shard.hot else "",
    )


def _consumer_rows(overview: Overview) -> list[Row]:
    letters = {} if isinstance(overview.letters, Unknown) else {one.consumer: one for one in overview.letters}
    rows = []
    for one in overview.consumers:
        mark, style = _MARKS[one.verdict] if one.trouble is None else ("?", "yellow")
        lag = one.lag
        mine = [letters[name] for name in (one.name, *one.hosts) if name in letters]
        apart = "?" if not mine or any(each.trouble for each in mine) else f"{sum(each.count for each in mine):,}"
        apart += "+" * any(each.more for each in mine)
        oldest = lag.oldest if lag else None
        rows.append(
            Row(
                (
                    mark,
                    one.name,
                    "?" if lag is None else f"{'≥' * lag.at_least}{lag.records:,}",
                    "?" if lag is None else seconds_in_words(lag.seconds),
                    seconds_in_words(one.checkpoint_seconds) if one.checkpoint_seconds is not None else "·",
                    apart,
                    owner_of(one),
                    oldest.order_id[:_SHORT] if oldest else "",
                    oldest.event_type if oldest else "",
                ),
                style if mark != "✓" else "",
                oldest.order_id if oldest else None,
            )
        )
    return rows


def owner_of(consumer: ConsumerFlow) -> str:
    """The process on this machine, where there is one; otherwise the end of the worker's id, which tells it apart."""
    if consumer.trouble is not None:
        return "?"
    if consumer.process is not None:
        state = "" if consumer.process.works else f" {consumer.process.state.rpartition(' ')[2]}"
        return f"pid {consumer.process.pid}{state}"
    if not consumer.owners:
        return "none" if consumer.ran else "never ran"
    more = f" +{len(consumer.owners) - 1}" if len(consumer.owners) > 1 else ""
    lost = " left" if any(one.renewed is False for one in consumer.shards if not one.finished) else ""
    return f"…{consumer.owners[0][-8:]}{more}{lost}"


def _order_rows(overview: Overview) -> list[Row]:
    """The oldest open order of each state, and the deadlines that were missed."""
    if isinstance(overview.orders, Unknown):
        return []
    rows = [
        Row((one.order_id[:_ORDER], one.state, f"for {_ago(one.placed_at, overview.at)}", "", ""), "", one.order_id)
        for one in overview.orders.open.oldest.values()
    ]
    for missed in overview.orders.missed.oldest:
        what = f"{missed.actor}: {' or '.join(missed.tells)}"
        late = f"late {_ago(missed.due, overview.at)}"
        rows.append(Row((missed.order_id[:_ORDER], "missed", late, what, missed.owner), "yellow", missed.order_id))
    return rows


def _events(overview: Overview, width: int, room: int) -> list[Text]:
    """Where all of them have room, in the order of an order's life."""
    if isinstance(overview.events, Unknown):
        return []
    ranked = sorted(overview.events, key=lambda one: _LIFE.get(one.event_type, len(_LIFE)))
    since = Column(f"since {overview.since:%H:%M:%S}", right=True)
    columns = (Column("event"), since, Column("events/s", right=True))
    rows = [Row((one.event_type, f"{one.count:,}", f"{one.per_second:,.1f}")) for one in ranked]
    told = _table(columns, rows, width, None)
    return told if len(told) <= room else []


def _states(overview: Overview) -> Text:
    if isinstance(overview.orders, Unknown):
        return _unknown("orders", overview.orders.unknown)
    found, missed = overview.orders.open, overview.orders.missed
    states = "   ".join(f"{count:,} {state}" for state, count in found.by_state.items()) or "none"
    late = f"{missed.count:,}{'+' * (missed.at_least and missed.count > 0)}"
    return Text.assemble(
        ("open orders  ", "bold"),
        f"{'≥' * found.at_least}{states}   ",
        (f"deadlines missed {late}", "yellow" if missed.count else ""),
    )


def _slowest(overview: Overview) -> Text:
    if isinstance(overview.orders, Unknown) or overview.orders.slowest is None:
        return Text.assemble(("slowest step ", "bold"), "not known")
    return Text.assemble(("slowest step ", "bold"), step_in_words(overview.orders.slowest))


def step_in_words(step: StepTime) -> str:
    took, may = seconds_in_words(step.p95_seconds), seconds_in_words(step.within_seconds)
    return f"{step.actor} after {step.because_of}: {took} of {may} ({step.share:.0%})"


def _footer(overview: Overview, width: int, chosen: str | None, *, keys: bool) -> Text:
    cost = f"{overview.reads} of 5 reads a shard · {overview.took_seconds:.1f} s"
    if not keys:
        return Text(f"this look: {cost}"[:width], "dim")
    at = f"{chosen[:_ORDER]} · " if chosen else ""
    return Text(f"{at}{_KEYS} · {cost}"[:width], "dim")


def _unknown(what: str, why: str) -> Text:
    return Text.assemble((f"{what}  ", "bold"), (f"unknown: {one_line(why)}", "yellow"))


def _ago(then: datetime, now: datetime) -> str:
    return seconds_in_words(max(0.0, (now - then).total_seconds()))


_SHARD_COLUMNS = (
    Column("shard"),
    Column(f"rec/s of {WRITE_RECORDS_PER_SECOND:,}", right=True),
    Column(f"KiB/s of {WRITE_BYTES_PER_SECOND // 1024:,}", right=True),
    Column("full", right=True),
    Column(""),
)
_CONSUMER_COLUMNS = (
    Column(""),
    Column("consumer"),
    Column("lag", right=True),
    Column("waits", right=True),
    Column("stands", right=True, least=70),
    Column("letters", right=True),
    Column("owner"),
    Column("oldest", least=76),
    Column("event", least=_WIDE),
)
_ORDER_COLUMNS = (Column("order"), Column("state"), Column("since"), Column("step"), Column("owner", least=_WIDE))


def _table(columns: Sequence[Column], rows: Sequence[Row], width: int, chosen: str | None) -> list[Text]:
    """A heading and a line a row, with nothing that wraps; no line at all without rows."""
    if not rows:
        return []
    rows = [Row([one_line(cell) for cell in row.cells], row.style, row.order_id) for row in rows]
    kept = [number for number, column in enumerate(columns) if column.least <= width]
    widths = {n: max(len(columns[n].name), *(len(row.cells[n]) for row in rows)) for n in kept}
    told = [Text(_joined([columns[n].name for n in kept], [columns[n] for n in kept], widths, kept), "bold dim")]
    for row in rows:
        text = _joined([row.cells[n] for n in kept], [columns[n] for n in kept], widths, kept)
        is_chosen = chosen is not None and row.order_id == chosen
        told.append(Text(text, f"{row.style} reverse".strip() if is_chosen else row.style))
    return told


def _joined(cells: Sequence[str], columns: Sequence[Column], widths: dict[int, int], kept: Sequence[int]) -> str:
    padded = [
        cell.rjust(widths[n]) if column.right else cell.ljust(widths[n])
        for cell, column, n in zip(cells, columns, kept, strict=True)
    ]
    return "  ".join(padded).rstrip()
