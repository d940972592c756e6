"""What the report asks: the records of its periods in a database on disk, read once, and the tables made of them.

However many records there are, memory does not grow with them: rows come in batches, orders are made a part at a time.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds

from analytics.files import MEMORY, scratch
from analytics.questions.question import OF_NONE, OF_ORDERS, Question, tables
from analytics.reading import ALWAYS, Pulled, UnusableRecords, Window, find_repeats, pulling
from analytics.table import PLACE

# The states of a part's orders fit into memory, of whatever length their texts are.
_PART_ROWS = 2_000_000
_COLUMNS = (
    *("event_id", "event_type", "order_id", "occurred_at", "cause", "restaurant_id", "customer_id", "city", "items"),
    *("total", "currency", "reason", "_arrived_at", "event_date"),
)
# Of lakes that no archiver of this release has opened.
_MAY_LACK = {"accept_by": "NULL::TIMESTAMPTZ"}


@contextmanager
def working_set(
    records: ds.Dataset | pa.Table, window: Window = ALWAYS, repeats: pa.Table | None = None, *, memory: int = MEMORY
) -> Iterator["WorkingSet"]:
    """The records of the window, taken in; those are left out of `events` that `repeats` names by their places.

    Without `repeats` they are looked for among `records`. `memory` is what the database may hold, in bytes.
    Raises `UnusableRecords`.
    """
    names = records.schema.names
    if missing := [name for name in (*_COLUMNS, *PLACE) if name not in names]:
        raise UnusableRecords(f"the records lack {', '.join(missing)}. fix: pass `Lake.dataset()`, with all columns")
    repeats = find_repeats(records) if repeats is None else repeats
    with scratch(memory, stored=True) as connection:
        _take_in(connection, records, window, repeats)
        yield WorkingSet(connection)


class WorkingSet:
    """Answers questions of any window within the one that was taken in."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection = connection
        [(rows,)] = connection.execute("SELECT count(*) FROM taken").fetchall()
        self._parts = 1 + rows // _PART_ROWS
        self._sets = 0

    def answers(self, asked: Iterable[Question], window: Window = ALWAYS) -> dict[str, pa.Table]:
        """The answer to each question, by its name. Tables are made once for all of them, and go afterwards."""
        asked = tuple(asked)
        self._sets += 1
        self.connection.execute(f"CREATE SCHEMA set_{self._sets}")
        self.connection.execute(f"SET search_path = 'set_{self._sets},main'")
        try:
            self._make(frozenset[str]().union(*(question.reads for question in asked)), window)
            return {one.name: self.connection.sql(one.within(window)).to_arrow_table() for one in asked}
        finally:
            self.connection.execute("RESET search_path")
            self.connection.execute(f"DROP SCHEMA set_{self._sets} CASCADE")

    def _make(self, wanted: frozenset[str], window: Window) -> None:
        of_all = tables(window)
        for name in wanted.intersection(OF_NONE):
            self.connection.execute(f"CREATE TABLE {name} AS {of_all[name]}")
        for part in range(self._parts):
            events = f"(FROM events WHERE hash(order_id) % {self._parts} = {part})"
            of_part = tables(window, events if self._parts > 1 else "events")
            for name in wanted.intersection(OF_ORDERS):
                verb = f"INSERT INTO {name}" if part else f"CREATE TABLE {name} AS"
                self.connection.execute(f"{verb} {of_part[name]}")


def _take_in(
    connection: duckdb.DuckDBPyConnection, records: ds.Dataset | pa.Table, window: Window, repeats: pa.Table
) -> None:
    lacking = {name: null for name, null in _MAY_LACK.items() if name not in records.schema.names}
    columns = [*_COLUMNS, *(_MAY_LACK.keys() - lacking.keys()), *(PLACE if repeats.num_rows else ())]
    connection.register("repeats", repeats.select(PLACE))
    is_repeat = (
        f"EXISTS (FROM repeats WHERE {' AND '.join(f'repeats.{name} = incoming.{name}' for name in PLACE)})"
        if repeats.num_rows
        else "false"
    )
    others = ", ".join(f"{lacking.get(name, name)} AS {name}" for name in _MAY_LACK)
    selected = f"{', '.join(_COLUMNS)}, {others}, {is_repeat} AS is_repeat"
    with pulling(connection, incoming=Pulled(records, columns, _within(window))):
        connection.execute(f"CREATE TABLE taken AS SELECT {selected} FROM incoming")
    connection.unregister("repeats")
    # Arrow keeps for later what it has freed: here the database needs it.
    pa.default_memory_pool().release_unused()
    connection.execute("CREATE VIEW records AS SELECT * EXCLUDE is_repeat FROM taken")
    # guarantee: the report counts every event once
    connection.execute("CREATE VIEW events AS SELECT * EXCLUDE is_repeat FROM taken WHERE NOT is_repeat")


def _within(window: Window) -> ds.Expression | None:
    """By day as well, so that other days' files are not opened."""
    conditions = []
    if window.since is not None:
        conditions += [ds.field("event_date") >= window.since.astimezone(UTC).date()]
        conditions += [ds.field("occurred_at") >= window.since]
    if window.until is not None:
        conditions += [ds.field("event_date") <= window.until.astimezone(UTC).date()]
        conditions += [ds.field("occurred_at") < window.until]
    found = None
    for condition in conditions:
        found = condition if found is None else found & condition
    return found
