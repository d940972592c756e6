"""The lake's events as the records that they came as, for a consumer that begins with history."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import msgspec

from analytics.lake import Lake
from analytics.table import TOKEN_NAMES
from events import EVENT_TYPES, EVENTS, KNOWN_EVENTS, Event, Field, Header, fields_of
from foundation.kinesis import Record

# What the tokens stand for; None where the key is gone.
Texts = Callable[[Sequence[str]], Mapping[str, str | None]]

_HEADER = Header.__struct_fields__
_PLACE = ("_sequence_number", "_sub_sequence_number", "_arrived_at")
_FIELDS: dict[str, tuple[Field, ...]] = {EVENT_TYPES[event]: fields_of(event) for event in EVENTS}
_TOGETHER = 1_000
# So many are in memory at once, whatever the lake has; each such part reads the lake's files again.
_IN_MEMORY = 100_000
# Sorts as text as the stream does: a number has at most 56 digits, of different length on some services.
_PLACE_KEY = "lpad(ltrim(_sequence_number, '0'), 60, '0') || lpad(_sub_sequence_number::VARCHAR, 12, '0')"


@dataclass
class Lacks:
    """What the lake does not have of the events that were read.

    `texts`: names and addresses whose key is gone; an optional one is left out, another is the token itself.
    `newer`: events of a version that this release does not know, which are left out.
    """

    texts: int = 0
    newer: int = 0


class Past:
    """One version of the lake, of these event types; None: of all, also those that no release here knows.

    `lacks` counts what is missing, as far as was read.
    """

    def __init__(self, lake: Lake, types: Sequence[type[Event]] | None, texts: Texts) -> None:
        self.version = lake.version
        self.lacks = Lacks()
        self._lake = lake
        self._types = None if types is None else sorted(EVENT_TYPES[one] for one in types)
        self._texts = texts
        columns = set(lake.dataset().schema.names)
        wanted = [*_HEADER, *_PLACE, *(name for name in _columns() if name in columns)]
        self._columns = ", ".join(f'"{name}"' for name in wanted)

    def shards(self) -> list[str]:
        """By when their first event came: a shard's events come behind those of its parents."""
        found = self._lake.sql(f"SELECT _shard FROM events {self._where()} GROUP BY 1 ORDER BY min(_arrived_at), 1")  # noqa: S608
        return [str(shard) for shard in found["_shard"].to_pylist()]

    def records(self, shard: str) -> Iterator[list[Record]]:
        """Each event of the shard once, in the order of the stream, so many at a time."""
        of_shard = f"_shard = '{shard.replace(chr(39), chr(39) * 2)}'"
        for after, upto in pairwise(["", *self._edges(of_shard), "~"]):
            where = self._where(of_shard, f"{_PLACE_KEY} > '{after}'", f"{_PLACE_KEY} <= '{upto}'")
            rows = self._lake.sql(f"SELECT {self._columns} FROM events {where} ORDER BY {_PLACE_KEY}")  # noqa: S608
            for batch in rows.to_batches(max_chunksize=_TOGETHER):
                yield list(self._read(batch.to_pylist()))

    def _edges(self, of_shard: str) -> list[str]:
        """The places where parts end that fit into memory."""
        places = f"SELECT {_PLACE_KEY} AS place FROM events {self._where(of_shard)}"  # noqa: S608
        numbered = f"SELECT place, row_number() OVER (ORDER BY place) AS number FROM ({places})"  # noqa: S608
        found = self._lake.sql(f"SELECT place FROM ({numbered}) WHERE number % {_IN_MEMORY} = 0 ORDER BY place")  # noqa: S608
        return [str(place) for place in found["place"].to_pylist()]

    def _where(self, *conditions: str) -> str:
        named = [] if self._types is None else [f"event_type IN ({', '.join(repr(one) for one in self._types)})"]
        return f"WHERE {' AND '.join([*conditions, *named])}" if (*conditions, *named) else ""

    def _read(self, rows: list[dict[str, Any]]) -> Iterator[Record]:
        tokens = [row[name] for row in rows for name in TOKEN_NAMES.values() if row.get(name)]
        texts = self._texts(list(dict.fromkeys(tokens)))
        for row in rows:
            known = f"{row['event_type']}.v{row['schema_version']}" in KNOWN_EVENTS
            if not known and row["event_type"] in _FIELDS:
                # guarantee: what this release cannot read of the past is counted
                self.lacks.newer += 1
                continue
            event = {name: row[name] for name in _HEADER}
            for field in _FIELDS[row["event_type"]] if known else ():
                value = self._value(field, row, texts)
                if value is not None:
                    event[field.name] = value
            data = msgspec.json.encode(event)
            arrived = row["_arrived_at"].timestamp()
            yield Record(row["_sequence_number"], row["order_id"], data, arrived, row["_sub_sequence_number"])

    def _value(self, field: Field, row: dict[str, Any], texts: Mapping[str, str | None]) -> Any:
        if not field.is_personal:
            return row.get(field.name)
        token = row.get(TOKEN_NAMES[field.name])
        if token is None:
            return None
        text = texts.get(token)
        if text is None:
            self.lacks.texts += 1
        return token if text is None and not field.is_optional else text


def _columns() -> list[str]:
    plain = {field.name for fields in _FIELDS.values() for field in fields if not field.is_personal}
    return [*sorted(plain), *TOKEN_NAMES.values()]
