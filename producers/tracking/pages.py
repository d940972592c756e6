"""Lists of orders, the newest first, a page at a time: cursors, and pages put together from several parts. Pure."""

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from events import OrderState
from producers.tracking.item import placed_of

if TYPE_CHECKING:
    from producers.tracking.item import Item

_POSITION = re.compile(r"\d{18}/.{1,128}", re.DOTALL)


class BadCursor(ValueError):
    """No cursor of ours."""


@dataclass(frozen=True)
class ListedOrder:
    """An order in a list: as an index has it, and so perhaps as it was a second ago."""

    order_id: str
    state: OrderState
    placed_at: datetime
    customer_id: str | None
    restaurant_id: str | None


@dataclass(frozen=True)
class Page:
    """Some orders, and the cursor of those behind them, None when there are none. It may be short, or empty, and have
    more behind it: a page looks at a bounded number of orders."""

    orders: tuple[ListedOrder, ...]
    cursor: str | None


@dataclass(frozen=True)
class Part:
    """What one part of the orders gave: its items, and the position up to which it was looked at, None for its end."""

    items: "Sequence[Item]"
    looked_to: str | None


def cursor_of(at: str) -> str:
    return base64.urlsafe_b64encode(at.encode()).rstrip(b"=").decode()


def position_of(cursor: str) -> str:
    """The position that a page begins behind. Raises `BadCursor`."""
    try:
        at = base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4)).decode()
    except (ValueError, binascii.Error) as error:
        raise BadCursor("not a cursor of this list") from error
    if not _POSITION.fullmatch(at):
        raise BadCursor("not a cursor of this list")
    return at


def page_of(parts: Sequence[Part], limit: int) -> Page:
    """The newest of all parts, as far as every one of them was looked at."""
    # guarantee: a page ends where one of its parts was looked at no further
    horizon = max((part.looked_to for part in parts if part.looked_to is not None), default="")
    items = {item["listed_as"]["S"]: item for part in parts for item in part.items if item["listed_as"]["S"] >= horizon}
    positions = sorted(items, reverse=True)
    shown = positions[:limit]
    ends_at = shown[-1] if len(positions) > limit else horizon
    return Page(tuple(_listed(items[at]) for at in shown), cursor_of(ends_at) if ends_at else None)


def _listed(item: "Item") -> ListedOrder:
    state: OrderState = item["state"]["S"]  # type: ignore[assignment]
    return ListedOrder(
        item["order_id"]["S"],
        state,
        placed_of(item["listed_as"]["S"]),
        item["customer_id"]["S"] if "customer_id" in item else None,
        item["restaurant_id"]["S"] if "restaurant_id" in item else None,
    )
