"""Which rows are one event, which of them stays, and which are one record: for all that write, read or judge them."""

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

# An event. A producer that is not ours may give two orders one `event_id`: those are two events.
IDENTITY = ("order_id", "event_id")

# A record of the stream.
PLACE = ("_shard", "_sequence_number", "_sub_sequence_number")

# Of the rows of one event the first in this order stays, whatever days they say they are of. A parent shard's records
# arrived before its children's. Sequence numbers are decimal text of differing length: shorter is smaller.
STREAM_ORDER = "_arrived_at, _shard, length(_sequence_number), _sequence_number, _sub_sequence_number"


def identities(rows: pa.Table) -> "pa.ChunkedArray[Any]":
    """One text a row, equal for rows of one event only: the length says where the order's id ends."""
    order_id, event_id = (rows.column(name) for name in IDENTITY)
    length = pc.utf8_length(order_id).cast(pa.string())
    # guarantee: two orders under one event id are two events
    joined: pa.ChunkedArray[Any] = pc.binary_join_element_wise(length, order_id, event_id, ":")
    return joined
