"""The mined flow as answers to look at and to draw."""

import pyarrow as pa

from analytics.mining import Mined
from analytics.showing.tables import typed
from events import EVENT_TYPES

_ARROW = "\N{RIGHTWARDS ARROW}"


def edges(mined: Mined) -> pa.Table:
    """A row for each event that a step may tell: its name `edge`, `hears`, `tells`, `times`, `late`, `owner`.

    `p50` and `p95` are seconds from the event heard to the one told, null where none is heard; `deadline_seconds` is
    null for no end.
    """
    rows = [
        {
            "edge": f"{_short(EVENT_TYPES[edge.step.listens_to])} {_ARROW} {_short(edge.told)}"
            if edge.step.listens_to
            else _short(edge.told),
            "hears": EVENT_TYPES[edge.step.listens_to] if edge.step.listens_to else None,
            "tells": edge.told,
            "times": edge.count,
            "p50": edge.p50,
            "p95": edge.p95,
            "deadline_seconds": edge.deadline,
            "late": edge.late,
            "owner": edge.step.owner,
        }
        for edge in mined.edges
    ]
    return pa.Table.from_pylist(rows, schema=_EDGES)


def ways(mined: Mined) -> pa.Table:
    """The most frequent sequences of events: `way` with the events' short names, `orders`, and their share of all."""
    rows = [
        {
            "way": f" {_ARROW} ".join(_short(event) for event in one.events),
            "orders": one.orders,
            "share": one.orders / mined.orders,
        }
        for one in mined.variants
    ]
    return pa.Table.from_pylist(rows, schema=_WAYS)


def deviation_kinds(mined: Mined) -> pa.Table:
    """Orders by how they deviate, the worst first: `kind`, `orders`, and the newest order as an `example`."""
    examples = {one.kind: one.order_id for one in reversed(mined.deviations)}
    rows = [{"kind": kind.value, "orders": count, "example": examples.get(kind)} for kind, count in mined.kinds.items()]
    return pa.Table.from_pylist(rows, schema=_KINDS)


def examples(mined: Mined) -> list[str]:
    """Orders that deviate, by their ids: those of the worst kind first."""
    return list(dict.fromkeys(one.order_id for one in mined.deviations))


def _short(event_type: str) -> str:
    return event_type.removeprefix("order_").replace("_", " ")


_SECONDS = pa.float64()
_EDGES = typed(
    edge=pa.string(),
    hears=pa.string(),
    tells=pa.string(),
    times=pa.int64(),
    p50=_SECONDS,
    p95=_SECONDS,
    deadline_seconds=_SECONDS,
    late=pa.int64(),
    owner=pa.string(),
)
_WAYS = typed(way=pa.string(), orders=pa.int64(), share=pa.float64())
_KINDS = typed(kind=pa.string(), orders=pa.int64(), example=pa.string())
