"""Whose order a record is about, as far as it still tells. Pure."""

import msgspec


class _OfOrder(msgspec.Struct):
    order_id: str


def is_about(order_id: str, partition_key: str | None, data: bytes) -> bool:
    """By the record's key, or by its bytes where they are JSON with an `order_id`, event or not."""
    if partition_key == order_id:
        return True
    try:
        return msgspec.json.decode(data, type=_OfOrder).order_id == order_id
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return False
