"""A record of the stream as a person or a program reads it: decoded where it is an event, and without personal data."""

import base64
from dataclasses import dataclass
from typing import Any

from events import UnreadableEvent, read
from foundation.kinesis import Record
from foundation.plain_text import one_line
from takeaway.terminal import piped
from takeaway.terminal.masking import masked, masked_text
from takeaway.terminal.payloads import payload


@dataclass(frozen=True)
class Wanted:
    """Which events are shown. An empty set wants all; what cannot be read is shown where nothing is asked for."""

    types: frozenset[str] = frozenset()
    orders: frozenset[str] = frozenset()
    restaurants: frozenset[str] = frozenset()

    @property
    def wants_all(self) -> bool:
        return not (self.types or self.orders or self.restaurants)


@dataclass(frozen=True)
class Shown:
    """`facts` are for programs, `line` is for people. Both are masked."""

    facts: dict[str, Any]
    line: str


def shown(shard_id: str, record: Record, wanted: Wanted) -> Shown | None:
    """None where it is not wanted."""
    facts: dict[str, Any] = {
        "arrived_at": piped(record.arrived_at),
        "shard": shard_id,
        "sequence": record.number,
        "sub": record.sub,
    }
    begin = f"{record.arrived_at:%H:%M:%S}  {shard_id[-4:]}"
    try:
        header, event = read(record.data)
    except UnreadableEvent as error:
        if not wanted.wants_all:
            return None
        why = masked_text(str(error))
        facts |= {"unreadable": why, "payload": base64.b64encode(masked(record.data)).decode()}
        return Shown(facts, f"{begin}  unreadable: {one_line(why)}")
    restaurant = getattr(event, "restaurant_id", "")
    for asked, value in (
        (wanted.types, header.event_type),
        (wanted.orders, header.order_id),
        (wanted.restaurants, restaurant),
    ):
        if asked and value not in asked:
            return None
    line = f"{begin}  {header.event_type:20} {header.order_id:36}  {restaurant}"
    return Shown(facts | {"event": payload(record.data)}, masked_text(one_line(line.rstrip())))
