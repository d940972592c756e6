"""A question to the lake: SQL that reads `events`, `records`, `orders`, the deadlines and the flow as it ran."""

import re
from dataclasses import dataclass
from datetime import timedelta
from textwrap import indent

from analytics.mining import flow_select, told_select
from analytics.reading import ALWAYS, Window, common_tables

# An answer's width on paper and on a screen: more bars than this cannot be told apart.
_MOST_BUCKETS = 48
WINDOW = "/* and the window */"
_READ = re.compile(r"\b(?:FROM|JOIN) (\w+)")
_BUCKETS = tuple(
    timedelta(seconds=seconds)
    for seconds in (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 86400, 604800, 2592000)
)


@dataclass(frozen=True)
class Question:
    """`select` reads the lake's tables and those of `tables`; where it reads events, `WINDOW` is where the window goes.

    `meaning` says how to read the answer.
    """

    name: str
    title: str
    meaning: str
    select: str

    @property
    def reads(self) -> frozenset[str]:
        """The names of the tables behind FROM and JOIN."""
        return frozenset(_READ.findall(self.select))

    def sql(self, window: Window = ALWAYS) -> str:
        """One statement that answers the question where there are `events` and `records`, with nothing else needed."""
        needed = {name: select for name, select in tables(window).items() if name in self.reads}
        steps = ",\n".join(f"{name} AS (\n{indent(select, '  ')}\n)" for name, select in needed.items())
        return f"WITH {steps}\n{self.within(window)}" if needed else self.within(window)

    def within(self, window: Window) -> str:
        """The select alone, where the tables of that window are already there."""
        return self.select.replace(WINDOW, window.where().replace("\nWHERE", "\n  AND"))


# Those of which each order has rows of its own, and those that are the same for any events.
OF_ORDERS, OF_NONE = ("orders", "told"), ("deadlines", "flow")


def tables(window: Window = ALWAYS, events: str = "events") -> dict[str, str]:
    """What questions read besides the lake's own tables, as SQL by name. `events` has each event once."""
    return common_tables(window, events=events) | {"flow": flow_select(), "told": told_select(events, window.where())}


def bucket_for(span: timedelta, least: timedelta = _BUCKETS[0]) -> timedelta:
    """The shortest readable bucket that cuts `span` into at most 48: seconds for a demo, days for a month."""
    fits = (bucket for bucket in _BUCKETS if bucket >= least and span <= bucket * _MOST_BUCKETS)
    return next(fits, _BUCKETS[-1])


def bucketed(moment: str, bucket: timedelta) -> str:
    """The start of the bucket that the moment is in. Buckets are counted from the epoch, so a day is a day in UTC."""
    width = bucket // timedelta(microseconds=1)
    return f"""greatest(
    make_timestamptz((epoch_us({moment}) - (epoch_us({moment}) % {width} + {width}) % {width})::BIGINT),
    TIMESTAMPTZ '0001-01-01 00:00:00+00'
  )"""


def in_utc(moment: str) -> str:
    """As a TIMESTAMP, whose hour and weekday are those of UTC whatever the session's time zone."""
    return f"make_timestamp(epoch_us({moment}))"
