"""flow show, check: the choreography as it is declared, as it ran, and which orders went otherwise."""

import json
import re
import textwrap
from collections.abc import Sequence
from datetime import timedelta
from hashlib import md5
from typing import TYPE_CHECKING, Annotated, Any

import typer

from takeaway.commands.options import MAX_SPEED, Json
from takeaway.errors import UserError
from takeaway.stack import HOME, answer_within, backend_that_is_up, lake_told_in_one_line, resolved
from takeaway.terminal import PlainConsole, counted, in_words, piped, roughly, say, show_rows, waiting

if TYPE_CHECKING:
    from analytics.mining import Deviation, Edge, Mined
    from events import Step

# What no shell, no command line and no terminal reads as anything but itself.
_PLAIN_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:@/+=-]*")
_WIDEST = 100
_NO_BREAK = "\N{NO-BREAK SPACE}"
# What differs from another way so late is not told.
_MOST_RUNS = 20


def show(
    mined: Annotated[bool, typer.Option("--mined", help="As it ran: with counts and times from the lake.")] = False,
    as_mermaid: Annotated[bool, typer.Option("--mermaid", help="As a Mermaid drawing.")] = False,
    as_asyncapi: Annotated[bool, typer.Option("--asyncapi", help="As an AsyncAPI 3.0 document.")] = False,
    as_json: Json = False,
) -> None:
    """Show who hears what, does what and tells what, by when, and who answers for it.

    --mined counts each event told in time's order, with the time since the event heard, half of the time and 95 %.

    Examples: takeaway flow show · takeaway flow show --mined · takeaway flow show --mined --mermaid
    """
    from events import CHOREOGRAPHY, EVENT_TYPES, asyncapi, mermaid

    if as_asyncapi:
        if mined:
            raise UserError("an AsyncAPI document says what is declared, and nothing of what ran", "leave --mined out")
        say(json.dumps(asyncapi(), indent=2))
        return
    edges = _mined(limit=0, speed=1).edges if mined else ()
    if as_mermaid:
        say(mermaid({(edge.step, edge.told): _noted(edge) for edge in edges}))
        return
    if as_json:
        say(json.dumps([_edge(edge) for edge in edges] if mined else [_declared(step) for step in CHOREOGRAPHY]))
        return
    if mined:
        _show_edges(edges, PlainConsole())
        return
    rows = [
        {
            "who": step.actor,
            "hears": EVENT_TYPES[step.listens_to] if step.listens_to else None,
            "tells": EVENT_TYPES[event],
            "within": in_words(step.deadline) if step.deadline else None,
            "owner": step.owner,
        }
        for step in CHOREOGRAPHY
        for event in step.publishes
    ]
    show_rows(tuple(rows[0]), rows, PlainConsole())


def check(
    limit: Annotated[int, typer.Option(min=0, help="Name so many orders of each kind; all are counted.")] = 5,
    speed: Annotated[
        float,
        typer.Option(
            min=1, max=MAX_SPEED, help="People had so much less time: the --speed of the restaurants. Handlers did not."
        ),
    ] = 1,
    as_json: Json = False,
) -> None:
    """Hold the flow as it ran, mined from the lake, against the flow as it is declared. Exit 1 when an order deviates.

    An order deviates when it was never placed, when an event comes without or before what it answers, when events
    exclude each other, when a handler's event is missing past its deadline or one is there twice, and when a step was
    late, or is overdue at the newest event. Orders under way do not. Changes nothing.

    Examples: takeaway flow check · takeaway flow check --json | jq .kinds
    """
    mined = _mined(limit=limit, speed=speed)
    if as_json:
        say(json.dumps(_facts(mined)))
    else:
        _show(mined, limit, PlainConsole(highlight=False, soft_wrap=True))
    raise typer.Exit(1 if mined.deviating else 0)


def _mined(*, limit: int, speed: float) -> "Mined":
    from analytics.lake import Lake
    from analytics.mining import mine

    environ, within = resolved(), answer_within(speed, backend_that_is_up(HOME))
    with lake_told_in_one_line(environ), waiting("reading the events of the lake"):
        ask = Lake.from_environment(environ).sql
        return mine(ask, speed=speed, answer_within=within, most_orders=limit)


def _declared(step: "Step") -> dict[str, object]:
    from events import EVENT_TYPES

    return {
        "who": step.actor,
        "hears": EVENT_TYPES[step.listens_to] if step.listens_to else None,
        "tells": [EVENT_TYPES[event] for event in step.publishes],
        "within_seconds": step.deadline.total_seconds() if step.deadline else None,
        "owner": step.owner,
    }


def _edge(edge: "Edge") -> dict[str, object]:
    ran = {"count": edge.count, "p50_seconds": edge.p50, "p95_seconds": edge.p95, "late": edge.late}
    return {**_declared(edge.step), "tells": edge.told, "within_seconds": edge.deadline, **ran}


def _facts(mined: "Mined") -> dict[str, object]:
    return {
        "ok": not mined.deviating,
        "events": mined.events,
        "orders": mined.orders,
        "newest": mined.newest and piped(mined.newest),
        "edges": [_edge(edge) for edge in mined.edges],
        "variants": [{"events": variant.events, "orders": variant.orders} for variant in mined.variants],
        "other_variants": {"variants": mined.other_variants, "orders": mined.other_orders},
        "deviating_orders": mined.deviating,
        "kinds": {kind.value: count for kind, count in mined.kinds.items()},
        "deviations": [
            {
                "kind": one.kind.value,
                "order_id": one.order_id,
                "events": one.events,
                "who": one.step and one.step.actor,
                "seconds": one.seconds,
                "times": one.times,
                "what": _what(one),
                "look": _look(one.order_id),
            }
            for one in mined.deviations
        ],
    }


def _show(mined: "Mined", limit: int, console: PlainConsole) -> None:
    of = f"{counted(mined.orders, 'order')} of {counted(mined.events, 'event')}"
    if mined.newest is not None:
        of += f", the newest from {mined.newest:%Y-%m-%d %H:%M:%S} UTC"
    verb = "deviates" if mined.deviating == 1 else "deviate"
    if mined.deviating:
        console.print(f"{counted(mined.deviating, 'order')} {verb} from the flow", style="bold red")
    else:
        console.print("every order keeps to the flow", style="bold green")
    console.print(of)
    console.print()
    _show_edges(mined.edges, console)
    console.print()
    _show_variants(mined, console)
    for kind, count in mined.kinds.items():
        console.print(f"\n{kind.value}: {counted(count, 'order')}", style="bold yellow")
        some = [one for one in mined.deviations if one.kind is kind]
        for order_id in dict.fromkeys(one.order_id for one in some):
            what = "; ".join(_what(one) for one in some if one.order_id == order_id)
            _print_hanging(f"  {piped(order_id)}: ", what, console)
            console.print(f"    {_look(order_id)}", style="dim")
        if count > limit:
            console.print(f"  … and {count - limit:,} more: --limit")


def _show_edges(edges: "Sequence[Edge]", console: PlainConsole) -> None:
    from events import tree

    if not console.is_terminal:
        rows: list[dict[str, Any]] = [_edge(edge) for edge in edges]
        show_rows(tuple(rows[0]), rows, console)
        return
    ran = {(edge.step, edge.told): edge for edge in edges}
    rows = [
        {
            "flow": label,
            "events": f"{(edge := ran[step, told]).count:,}".rjust(max(len(f"{one.count:,}") for one in edges)),
            "half within": _short(edge.p50),
            "95 % within": _short(edge.p95),
            "deadline": in_words(timedelta(seconds=edge.deadline)) if edge.deadline else None,
            "late": f"{edge.late:,}" if edge.deadline else None,
        }
        for label, step, told in tree()
    ]
    show_rows(tuple(rows[0]), rows, console)


def _show_variants(mined: "Mined", console: PlainConsole) -> None:
    console.print("how orders went", style="bold")
    width = max((len(f"{variant.orders:,}") for variant in mined.variants), default=0)
    for variant in mined.variants:
        _print_hanging(f"  {variant.orders:>{width},}  ", ", ".join(_runs(variant.events)), console)
    if mined.other_variants:
        console.print(f"  … and {counted(mined.other_variants, 'way')} more, of {counted(mined.other_orders, 'order')}")


def _runs(names: Sequence[str]) -> list[str]:
    """Without repeating what follows itself: `order_placed (3 times)`. What is long is cut."""
    runs: list[tuple[str, int]] = []
    for name in names:
        if runs and runs[-1][0] == name:
            runs[-1] = name, runs[-1][1] + 1
        else:
            runs.append((name, 1))
    told = [piped(name) + (f"{_NO_BREAK}({times:,}{_NO_BREAK}times)" if times > 1 else "") for name, times in runs]
    return told if len(told) <= _MOST_RUNS else [*told[:_MOST_RUNS], f"and {len(told) - _MOST_RUNS:,} more"]


def _what(one: "Deviation") -> str:
    """The deviation in words."""
    from analytics.mining import Kind
    from events import CHOREOGRAPHY, EVENT_TYPES

    told = " and ".join(piped(event) for event in one.events)
    heard = EVENT_TYPES[one.step.listens_to] if one.step and one.step.listens_to else ""
    awaited = " or ".join(EVENT_TYPES[event] for event in one.step.publishes) if one.step else ""
    over = ""
    if one.seconds is not None and one.deadline is not None:
        # Before what it heard where the order's `accept_by` was over by then.
        side, length = "before" if one.deadline < 0 else "after", abs(one.deadline)
        deadline = in_words(timedelta(seconds=length)) if length.is_integer() else _short(length)
        over = f"{_short(one.seconds - one.deadline)} past its deadline, {deadline} {side} {heard}"
    match one.kind:
        case Kind.NEVER_PLACED:
            what = f"it begins with {told}"
        case Kind.WRONG_ORDER if one.seconds is None:
            tellers = [step for step in CHOREOGRAPHY for event in step.publishes if EVENT_TYPES[event] == told]
            what = f"{told} without {' or '.join(EVENT_TYPES[one.listens_to] for one in tellers if one.listens_to)}"
        case Kind.WRONG_ORDER:
            what = f"{told} {_short(one.seconds)} before {heard}"
        case Kind.CONTRADICTORY:
            what = told
        case Kind.TWICE:
            what = f"{told} {one.times:,} times"
        case Kind.LATE:
            what = f"{told} {over}"
        case Kind.MISSING | Kind.OVERDUE:
            what = f"no {awaited}, {over}"
    return what


def _look(order_id: str) -> str:
    """The command that shows the order. An id that a shell may read as more than that is named by its digest."""
    # guarantee: a command that is told to be pasted runs nothing of the data
    is_plain = _PLAIN_ID.fullmatch(order_id) is not None
    if is_plain:
        return f"takeaway trace {order_id}"
    digest = md5(order_id.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()
    query = f"select occurred_at, event_type, producer from events where md5(order_id) = '{digest}' order by 1"  # noqa: S608
    return f'takeaway lake sql "{query}"'


def _noted(edge: "Edge") -> str:
    p95 = "" if edge.p95 is None else f" · 95 % in {_short(edge.p95)}"
    return f"{edge.count:,}{p95}"


def _short(seconds: float | None) -> str | None:
    """`840 ms`, `2.1 s`, `9 min`, `2 days`."""
    if seconds is None:
        return None
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 120 else roughly(timedelta(seconds=seconds))


def _print_hanging(label: str, text: str, console: PlainConsole) -> None:
    """Broken at spaces to the terminal's width; what follows the first line stands below its beginning."""
    width = max(min(console.width, _WIDEST) - len(label), 20)
    lines = textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
    for number, line in enumerate(lines or [""]):
        console.print((label if number == 0 else " " * len(label)) + line.replace(_NO_BREAK, " "))
