"""The lake's events, read once and mined in a database in memory."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import pyarrow as pa

from analytics.mining import statements
from analytics.mining.declared import Declared, declared
from analytics.mining.results import Deviation, Edge, Kind, Mined, Variant
from events import CHOREOGRAPHY, EVENT_TYPES, Step

# Ids are only compared within an order, where 64 bits tell them apart: less than half the bytes.
EVENTS_TO_MINE = (
    "SELECT order_id, event_type, occurred_at, _arrived_at, hash(event_id) AS event, hash(cause) AS cause, "
    "{accept_by} AS accept_by FROM events"
)
_COLUMNS = "SELECT column_name FROM (DESCRIBE events)"
_ACCEPT_BY = "accept_by"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# An event says by its own clock when it occurred; that it cannot have occurred after it arrived bounds what it can say.
# guarantee: one clock that is ahead makes no order overdue
_NEWEST = "SELECT epoch_us(max(least(occurred_at, _arrived_at))) FROM events"


def mine(
    ask: Callable[[str], pa.Table],
    steps: Sequence[Step] = CHOREOGRAPHY,
    *,
    speed: float = 1.0,
    answer_within: timedelta | None = None,
    most_variants: int = 10,
    most_orders: int = 10,
) -> Mined:
    """The flow as it ran, against `steps`. `ask` answers SQL over `events`, each once: `Lake.sql`.

    The steps of people are `speed` times as fast as declared; an answer has until the order's `accept_by`, and where no
    event says that, `answer_within`. Lists have `most_variants`, and `most_orders` of each kind of deviation; counts
    are exact. Everything that is asked for is derived from `steps`. All events are in memory at once, in some 400 bytes
    each.
    """
    flow = declared(steps, speed, answer_within)
    with duckdb.connect() as connection:
        # A table that no archiver of this release has opened lacks the column.
        accept_by = _ACCEPT_BY if _ACCEPT_BY in ask(_COLUMNS)["column_name"].to_pylist() else "NULL::TIMESTAMPTZ"
        newest = _take_in(connection, ask(EVENTS_TO_MINE.format(accept_by=accept_by)), flow)
        types = [name for (name,) in connection.execute("SELECT event_type FROM types ORDER BY code").fetchall()]
        connection.execute(f"CREATE TEMP TABLE orders AS {statements.orders(flow)}")
        connection.execute(f"CREATE TEMP TABLE pairs AS {statements.pairs(flow)}")
        connection.execute(statements.deviations(flow, newest or 0))
        (events,), (orders,) = (
            _only(connection, "SELECT count(*) FROM happened"),
            _only(connection, "SELECT count(*) FROM orders"),
        )
        (deviating,) = _only(connection, "SELECT count(DISTINCT number) FROM deviations")
        kinds = dict(connection.execute(statements.KINDS).fetchall())
        variants = connection.execute(statements.VARIANTS, {"limit": most_variants}).fetchall()
        listed = connection.execute(statements.LISTED, {"limit": most_orders}).fetchall()
        return Mined(
            events=events,
            orders=orders,
            newest=None if newest is None else _EPOCH + timedelta(microseconds=newest),
            edges=_edges(connection, flow),
            variants=tuple(Variant(tuple(types[code] for code in codes), count) for codes, count, _ in variants),
            other_variants=(variants[0][2] if variants else 0) - len(variants),
            other_orders=orders - sum(count for _, count, _ in variants),
            deviating=deviating,
            kinds={kind: kinds[kind.value] for kind in Kind if kind.value in kinds},
            deviations=tuple(_deviation(row, flow, types) for kind in Kind for row in listed if row[0] == kind.value),
        )


def _take_in(connection: duckdb.DuckDBPyConnection, events: pa.Table, flow: Declared) -> int | None:
    """What is needed of the events, in tables of the database; the newest one's time. The events themselves go."""
    connection.register("events", events)
    # Types of a newer release than this follow behind.
    there = [name for (name,) in connection.execute("SELECT DISTINCT event_type FROM events ORDER BY 1").fetchall()]
    names = [*flow.types, *(name for name in there if name not in flow.types)]
    connection.register("types", pa.table({"event_type": names, "code": pa.array(range(len(names)), pa.int32())}))
    (newest,) = _only(connection, _NEWEST)
    connection.execute(statements.IDS)
    connection.execute(statements.HAPPENED)
    connection.unregister("events")
    return None if newest is None else int(newest)


def _edges(connection: duckdb.DuckDBPyConnection, flow: Declared) -> tuple[Edge, ...]:
    """One for every event that a step may tell, in the choreography's order."""
    ran = {
        (step, code): (count, seconds) for step, code, count, seconds in connection.execute(statements.EDGES).fetchall()
    }
    late = {(step, code): count for step, code, count in connection.execute(statements.LATE_EDGES).fetchall()}
    edges = []
    for place, step in enumerate(flow.steps):
        for event in step.publishes:
            at = place, flow.code(event)
            count, seconds = ran.get(at, (0, None))
            p50, p95 = seconds or (None, None)
            edges.append(
                Edge(step, EVENT_TYPES[event], count, p50, p95, late.get(at, 0), _seconds(flow.deadline(step)))
            )
    return tuple(edges)


def _deviation(row: tuple[Any, ...], flow: Declared, types: Sequence[str]) -> Deviation:
    kind, order_id, codes, step, microseconds, within, times = row
    return Deviation(
        Kind(kind),
        order_id,
        tuple(types[code] for code in codes),
        None if step is None else flow.steps[step],
        _seconds(microseconds),
        times,
        _seconds(within),
    )


def _seconds(microseconds: int | None) -> float | None:
    return None if microseconds is None else microseconds / 1e6


def _only(connection: duckdb.DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    row = connection.execute(query).fetchone()
    assert row is not None  # noqa: S101 - an aggregate has one row
    return row
