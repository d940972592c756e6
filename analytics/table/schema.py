"""The lake's one declared schema. It has no customer's name and no address, only tokens in their place."""

from typing import Any

import pyarrow as pa

_TIMESTAMP = pa.timestamp("us", tz="UTC")

ENVELOPE_COLUMNS = (
    pa.field("event_id", pa.string(), nullable=False),
    pa.field("event_type", pa.string(), nullable=False),
    pa.field("schema_version", pa.int32(), nullable=False),
    pa.field("order_id", pa.string(), nullable=False),
    pa.field("occurred_at", _TIMESTAMP, nullable=False),
    pa.field("cause", pa.string(), nullable=False),
    pa.field("traceparent", pa.string(), nullable=False),
    pa.field("producer", pa.string(), nullable=False),
)

# The union of all events' own fields, each null where the event has no such field. Money in minor units.
EVENT_COLUMNS = (
    pa.field("restaurant_id", pa.string()),
    pa.field("customer_id", pa.string()),
    pa.field(
        "items",
        pa.list_(
            pa.struct(
                [
                    pa.field("sku", pa.string()),
                    pa.field("name", pa.string()),
                    pa.field("quantity", pa.int32()),
                    pa.field("unit_price", pa.int64()),
                ]
            )
        ),
    ),
    pa.field("total", pa.int64()),
    pa.field("currency", pa.string()),
    pa.field("city", pa.string()),
    pa.field("ready_at", _TIMESTAMP),
    pa.field("channel", pa.string()),
    pa.field("message_id", pa.string()),
    pa.field("reason", pa.string()),
)

# What an event says of a customer in plain text. It ends where the lake begins.
PLAIN_COLUMNS = (
    pa.field("customer_name", pa.string()),
    pa.field("customer_email", pa.string()),
)

# What may be a customer's name or address, as `customer_keys` seals it. `_extra` has, as a JSON object, the fields that
# this release does not know, but for nulls: numbers as they are, each text a token.
SEALED_COLUMNS = (
    pa.field("customer_name_token", pa.string()),
    pa.field("customer_email_token", pa.string()),
    pa.field("_extra", pa.string()),
)

# Where on the stream the row comes from: unique for every Kinesis user record.
STREAM_COLUMNS = (
    pa.field("_shard", pa.string(), nullable=False),
    pa.field("_sequence_number", pa.string(), nullable=False),
    pa.field("_sub_sequence_number", pa.int64(), nullable=False),
    pa.field("_arrived_at", _TIMESTAMP, nullable=False),
)

_COLUMNS: "list[pa.Field[Any]]" = [*ENVELOPE_COLUMNS, *EVENT_COLUMNS, *SEALED_COLUMNS, *STREAM_COLUMNS]
EVENT_SCHEMA = pa.schema(_COLUMNS)

# The UTC day of `occurred_at`, in the object's key and in the table, not in the file.
PARTITION_COLUMN = pa.field("event_date", pa.date32(), nullable=False)

# What an event says, before it is sealed and told where it was.
_SAID: "list[pa.Field[Any]]" = [*ENVELOPE_COLUMNS, *EVENT_COLUMNS, *PLAIN_COLUMNS, SEALED_COLUMNS[-1]]
CONTRACT_SCHEMA = pa.schema(_SAID)
