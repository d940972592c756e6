"""A big lake, made with arrays instead of events: days of orders in the lake's own columns, sorted by arrival.

Lifecycles are plain and the same each day; what matters to a query is how many rows, values and bytes there are.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from analytics.table.schema import EVENT_SCHEMA

FIRST_DAY = date(2026, 9, 1)
DAYS = 30
SHARDS = 4
EVENTS_AN_ORDER = 4.84
# One event in so many is on the stream twice, an hour apart: nothing but its id says so.
ONE_REPEATED_IN = 2000
CITIES = ("Amsterdam", "Berlin", "Lisbon", "London", "Utrecht")
REASONS = ("closed", "too_busy", "out_of_stock", "other")
PRODUCERS = {
    "order_placed": "orders_api",
    "restaurant_notified": "restaurant_notifier",
    "order_accepted": "orders_api",
    "order_rejected": "orders_api",
    "user_notified": "user_notifier",
    "order_completed": "orders_api",
}

Numbers = npt.NDArray[np.int64]
Chars = npt.NDArray[np.uint8]
Array: TypeAlias = "pa.Array[Any]"

_HEX = np.frombuffer(b"".join(b"%02x" % byte for byte in range(256)), np.uint8).reshape(256, 2)
_DASHES = (8, 13, 18, 23)
_UUID_PLACES = np.array([place for place in range(36) if place not in _DASHES])
_SECOND = 1_000_000


def days(events: int, seed: int = 7) -> Iterator[tuple[date, pa.Table]]:
    """A table a day for `DAYS` days, about `events` rows in all, in order of arrival."""
    orders = round(events / EVENTS_AN_ORDER / DAYS)
    for number in range(DAYS):
        yield FIRST_DAY + timedelta(days=number), _day(number, orders, np.random.default_rng((seed, number)))


def of_shard(rows: pa.Table, shard: int) -> pa.Table:
    """The rows that came from one shard."""
    return rows.filter(pc.field("_shard") == _shard_id(shard))


def _day(number: int, orders: int, chance: np.random.Generator) -> pa.Table:
    midnight = int(datetime.combine(FIRST_DAY + timedelta(days=number), datetime.min.time(), UTC).timestamp())
    # Two humps, lunch and dinner; all that happens to an order happens within its day.
    hours = np.where(chance.random(orders) < 0.4, chance.normal(12.5, 1.5, orders), chance.normal(18, 1.5, orders))
    placed = ((midnight + np.clip(hours, 1, 22) * 3600) * _SECOND).astype(np.int64)
    notified = placed + _seconds(chance, orders, 0.8)
    decided = notified + _seconds(chance, orders, 240)
    told = decided + _seconds(chance, orders, 1.5)
    completed = np.minimum(decided + _seconds(chance, orders, 1800), (midnight + 86_399) * _SECOND)
    fate = chance.random(orders)
    heard, rejects = fate > 0.001, fate > 0.94
    accepts, completes = (fate > 0.01) & ~rejects, (fate > 0.03) & ~rejects
    every = np.ones(orders, bool)
    happened = {
        "order_placed": (placed, every),
        "restaurant_notified": (notified, heard),
        "order_accepted": (decided, accepts),
        "order_rejected": (decided, rejects),
        "user_notified": (told, accepts),
        "order_completed": (completed, completes),
    }
    common = _Orders(chance, orders)
    tables = [common.events(kind, times, np.flatnonzero(which)) for kind, (times, which) in happened.items()]
    rows = pa.concat_tables(tables)
    again = rows.take(chance.choice(rows.num_rows, rows.num_rows // ONE_REPEATED_IN, replace=False))
    later = pc.add(again["_arrived_at"], pa.scalar(timedelta(hours=1), pa.duration("us")))
    again = again.set_column(again.column_names.index("_arrived_at"), EVENT_SCHEMA.field("_arrived_at"), later)
    rows = pa.concat_tables([rows, again]).sort_by("_arrived_at")
    numbers = _strings(np.hstack([_constant(b"4967", rows.num_rows), _digits(_numbered(number, rows.num_rows), 52)]))
    place = rows.column_names.index("_sequence_number")
    return rows.set_column(place, EVENT_SCHEMA.field("_sequence_number"), numbers).cast(EVENT_SCHEMA)


class _Orders:
    """A day's orders, and what each of their events says of them."""

    def __init__(self, chance: np.random.Generator, count: int) -> None:
        self._chance = chance
        self._order_ids = _uuids(chance, count)
        self._traces = _hex(chance, count, 16)
        self._shard_ids = pa.array([_shard_id(shard) for shard in range(SHARDS)])
        self._shards = chance.integers(0, SHARDS, count)
        # A few restaurants and customers have most of the orders.
        self._restaurants = (chance.pareto(1.1, count) * 20).astype(np.int64) % 5000
        self._customers = chance.integers(0, 300_000, count)
        self._totals = chance.integers(8, 80, count) * 100 + 50
        self._cities = chance.integers(0, len(CITIES), count)
        self._last = np.tile(np.frombuffer(b"-" * 36, np.uint8), (count, 1))

    def events(self, kind: str, times: Numbers, which: Numbers) -> pa.Table:
        count = len(which)
        event_ids = _uuids(self._chance, count)
        causes, self._last[which] = self._last[which], event_ids
        cells: dict[str, Any] = {
            "event_id": _strings(event_ids),
            "event_type": _repeated(kind, count),
            "schema_version": np.ones(count, np.int32),
            "order_id": _strings(self._order_ids[which]),
            "occurred_at": times[which],
            "cause": _strings(causes),
            "traceparent": self._traceparents(event_ids, which),
            "producer": _repeated(PRODUCERS[kind], count),
            "_shard": self._shard_ids.take(self._shards[which]),
            "_sequence_number": _repeated("", count),
            "_sub_sequence_number": np.zeros(count, np.int64),
            "_arrived_at": times[which] + _seconds(self._chance, count, 0.2),
        } | self._own(kind, which)
        arrays = [
            pa.array(cells[field.name]).cast(field.type) if field.name in cells else pa.nulls(count, field.type)
            for field in EVENT_SCHEMA
        ]
        return pa.Table.from_arrays(arrays, schema=EVENT_SCHEMA)

    def _own(self, kind: str, which: Numbers) -> dict[str, Any]:
        cells: dict[str, Any] = {}
        if kind != "user_notified":
            cells["restaurant_id"] = _named("restaurant-", self._restaurants[which], 5)
        if kind != "restaurant_notified":
            cells["customer_id"] = _named("customer-", self._customers[which], 6)
        if kind in {"order_placed", "order_completed"}:
            cells |= {"total": self._totals[which], "currency": _repeated("EUR", len(which))}
        if kind == "order_placed":
            cells |= {"city": pa.array(CITIES).take(self._cities[which]), "items": self._items(len(which))}
        if kind in {"restaurant_notified", "user_notified"}:
            cells["channel"] = _repeated("sns" if kind == "restaurant_notified" else "ses", len(which))
            cells["message_id"] = _strings(_uuids(self._chance, len(which)))
        if kind == "order_rejected":
            cells["reason"] = pa.array(REASONS).take(self._chance.integers(0, len(REASONS), len(which)))
        return cells

    def _items(self, orders: int) -> Array:
        each = self._chance.integers(1, 4, orders)
        count = int(each.sum())
        dish = self._chance.integers(0, 200, count)
        item = pa.StructArray.from_arrays(
            [
                _named("sku-", dish, 3),
                _named("dish ", dish, 3),
                pa.array(np.ones(count, np.int32)),
                pa.array(dish * 10 + 450),
            ],
            fields=list(EVENT_SCHEMA.field("items").type.value_type),
        )
        return pa.ListArray.from_arrays(pa.array(np.concatenate([[0], each.cumsum()]), pa.int32()), item)

    def _traceparents(self, event_ids: Chars, which: Numbers) -> Array:
        spans = event_ids[:, _UUID_PLACES[:16]]
        dash, count = _constant(b"-", len(which)), len(which)
        parts = [_constant(b"00-", count), self._traces[which], dash, spans, _constant(b"-01", count)]
        return _strings(np.hstack(parts))


def _shard_id(shard: int) -> str:
    return f"shardId-{shard:012}"


def _seconds(chance: np.random.Generator, count: int, median: float) -> Numbers:
    """Lognormal waiting times in microseconds."""
    return (chance.lognormal(np.log(median), 0.6, count) * _SECOND).astype(np.int64)


def _numbered(day: int, rows: int) -> Numbers:
    return np.arange(rows, dtype=np.int64) + day * 10**9


def _repeated(value: str, count: int) -> Array:
    return pa.repeat(value, count)


def _named(stem: str, numbers: Numbers, width: int) -> Array:
    return _strings(np.hstack([_constant(stem.encode(), len(numbers)), _digits(numbers, width)]))


def _uuids(chance: np.random.Generator, count: int) -> Chars:
    text = np.full((count, 36), ord("-"), np.uint8)
    text[:, _UUID_PLACES] = _hex(chance, count, 16)
    return text


def _hex(chance: np.random.Generator, count: int, width: int) -> Chars:
    text: Chars = _HEX[chance.integers(0, 256, (count, width), np.uint8)].reshape(count, 2 * width)
    return text


def _digits(numbers: Numbers, width: int) -> Chars:
    """Decimal digits, zeros in front; numbers have eighteen at most."""
    text = np.full((len(numbers), width), ord("0"), np.uint8)
    for place in range(1, min(width, 18) + 1):
        text[:, -place] += (numbers // 10 ** (place - 1) % 10).astype(np.uint8)
    return text


def _constant(text: bytes, count: int) -> Chars:
    return np.tile(np.frombuffer(text, np.uint8), (count, 1))


def _strings(text: Chars) -> Array:
    """One string a row of characters."""
    count, width = text.shape
    offsets = np.arange(count + 1, dtype=np.int32) * width
    buffers = [None, pa.py_buffer(offsets.tobytes()), pa.py_buffer(text.tobytes())]
    return pa.Array.from_buffers(pa.string(), count, buffers)
