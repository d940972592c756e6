"""What the lake tells of orders, as the tracker has it from the stream: the same events, and so the same timelines."""

from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds

from analytics.lake import Lake
from analytics.table import PLACE
from events import FACTS, SeenEvent, SeenEvents, seen

_HEADER = ("event_id", "event_type", "occurred_at", "cause")
_COLUMNS = ("order_id", *_HEADER, *FACTS, "_arrived_at", *PLACE)


def seen_in_lake(lake: Lake, order_ids: Iterable[str] | None = None) -> dict[str, SeenEvents]:
    """By order, of those named or of all, which are then in memory at once. Repeats do no harm: the first place counts.

    Of a history that was filled in, the lake says itself when it arrived: as it occurred.
    """
    wanted = None if order_ids is None else ds.field("order_id").isin(list(order_ids))
    by_order: dict[str, list[SeenEvent]] = {}
    dataset = lake.dataset()
    # A table that no archiver of this release has opened lacks the newest columns.
    columns = [name for name in _COLUMNS if name in dataset.schema.names]
    for order_id, event in _seen(dataset.to_table(columns=columns, filter=wanted)):
        by_order.setdefault(order_id, []).append(event)
    return {order_id: seen(events) for order_id, events in by_order.items()}


def _seen(rows: pa.Table) -> Iterator[tuple[str, SeenEvent]]:
    for batch in rows.to_batches():
        for row in batch.to_pylist():
            yield row["order_id"], _event(row)


def _event(row: dict[str, Any]) -> SeenEvent:
    told: dict[str, Any] = {name: row.get(name) for name in (*_HEADER, *FACTS)}
    return SeenEvent(
        arrived_at=row["_arrived_at"],
        shard=row["_shard"],
        sequence=row["_sequence_number"],
        sub=row["_sub_sequence_number"],
        **told,
    )
