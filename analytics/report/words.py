"""Numbers as people read them, and what is between two of them."""

import re
import shlex
from datetime import UTC, datetime

from events import amount

_NO_BREAK = "\N{NO-BREAK SPACE}"
NOTHING = "\N{EN DASH}"
# What no shell, no command line and no terminal reads as anything but itself.
_PLAIN_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:@/+=-]*")


def journey(order_id: str) -> str:
    """The command that shows what happened to an order, to be pasted into a shell whatever the id is."""
    # guarantee: a report's command to paste runs nothing of the data
    if _PLAIN_ID.fullmatch(order_id):
        return f"takeaway trace {order_id}"
    literal = order_id.replace("'", "''")
    query = f"from events select event_type, occurred_at where order_id = '{literal}' order by 2"
    return f"takeaway lake sql {shlex.quote(query)}"


def number(value: float | None) -> str:
    """A count with thousands set apart."""
    return NOTHING if value is None else f"{value:,.0f}"


def share(part: float | None, whole: float | None = 1) -> str:
    """A part of a whole as a percentage with one decimal, never rounded to nothing or to all of it."""
    if part is None or not whole:
        return NOTHING
    percent = f"{part / whole:.1%}"
    if percent == "0.0%" and part > 0:
        return "<0.1%"
    return ">99.9%" if percent == "100.0%" and part < whole else percent


def duration(seconds: float | None) -> str:
    """A duration in the one or two units that matter: 304 ms, 1.7 s, 2 min 31 s, 1 h 5 min, 3 d 4 h."""
    if seconds is None:
        return NOTHING
    sign, size = "\N{MINUS SIGN}" if seconds < 0 else "", abs(seconds)
    if size < 0.9995:
        words = f"{size * 1000:.0f}{_NO_BREAK}ms"
    elif size < 59.95:
        words = f"{size:.1f}".removesuffix(".0") + f"{_NO_BREAK}s"
    elif size < 3599.5:
        words = _two_units(round(size), 60, "min", "s")
    elif size < 86370:
        words = _two_units(round(size / 60), 60, "h", "min")
    else:
        words = _two_units(round(size / 3600), 24, "d", "h")
    return sign + words


def _two_units(count: int, size: int, large: str, small: str) -> str:
    many, rest = divmod(count, size)
    return f"{many:,}{_NO_BREAK}{large}" + (f"{_NO_BREAK}{rest}{_NO_BREAK}{small}" if rest else "")


def money(minor_units: int | None, currency: str | None) -> str:
    """An amount of minor units in its currency: EUR 1,234.56, JPY 1,235."""
    if minor_units is None or currency is None:
        return NOTHING
    return amount(minor_units, currency).replace(" ", _NO_BREAK)


def moment(value: datetime | None) -> str:
    """A time in UTC to the second."""
    # `strftime` would write the year 1 as 1.
    return NOTHING if value is None else value.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "seconds")


def change(now: float | None, before: float | None) -> str:
    """By how much it is more or less than before, as a percentage: +12.3%."""
    if now is None or before is None:
        return NOTHING
    if now == before:
        return "as before"
    if not before:
        return "none before"
    part = (now - before) / before
    if abs(part) < 0.0005:
        return "nearly as before"
    sign = "+" if part > 0 else "\N{MINUS SIGN}"
    return f"{sign}{abs(part):,.0%}" if abs(part) >= 1 else f"{sign}{abs(part):.1%}"
