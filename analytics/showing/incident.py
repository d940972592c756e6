"""Looking for an hour that was not like the others: of all orders, or of one restaurant's.

Everything is counted as so many of so many orders, and held against what chance would do.
"""

import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import pyarrow as pa

from analytics.lake import Lake
from analytics.showing.sentences import Sentence
from analytics.showing.tables import typed
from events import EXPIRED, REJECTED

EVERYWHERE = "everywhere"
# Chance alone comes so far once in a million hours; beside such an hour one in a thousand is worth a look.
STANDS_OUT, WORTH_A_LOOK = 6.0, 3.0
ORDERS = "orders placed"

# What an order may be counted for. Slow is what is slower than nine in ten orders of the same place.
_COUNTED = {
    "slow to be told to the restaurant": "notify_restaurant_seconds > slow_notice",
    "slow to be answered": "decide_seconds > slow_answer",
    "slow in the kitchen": "complete_seconds > slow_kitchen",
    REJECTED: f"state = '{REJECTED}'",
    EXPIRED: f"state = '{EXPIRED}'",
    "time runs backwards": "least(notify_restaurant_seconds, decide_seconds, notify_user_seconds, complete_seconds) "
    "< 0",
    "has an event twice": "repeats > 0",
}
_FLAGGED = f"""
WITH repeated AS (
  SELECT order_id, count(*) - count(DISTINCT event_id) AS repeats FROM records GROUP BY order_id
),
told AS (SELECT * FROM orders JOIN repeated USING (order_id) WHERE placed_at IS NOT NULL),
placed AS (
  SELECT *, '{EVERYWHERE}' AS place FROM told
  UNION ALL SELECT *, restaurant_id FROM told WHERE restaurant_id IS NOT NULL
),
slow AS (
  SELECT place, quantile_cont(notify_restaurant_seconds, 0.9) AS slow_notice,
    quantile_cont(decide_seconds, 0.9) AS slow_answer, quantile_cont(complete_seconds, 0.9) AS slow_kitchen
  FROM placed GROUP BY place
),
flagged AS (
  SELECT place, placed_at, state, rejection_reason,
    unnest([{", ".join(f"'{name}'" for name in _COUNTED)}]) AS what,
    unnest([{", ".join(f"coalesce({flag}, false)" for flag in _COUNTED.values())}]) AS flag
  FROM placed JOIN slow USING (place)
)"""

# What is usual is taken from all other hours; half an order more keeps the first of its kind from being a miracle.
_BY_HOUR = f"""{_FLAGGED},
hours AS (
  SELECT date_trunc('hour', placed_at) AS since, place, what, count(*) AS total, count(*) FILTER (flag) AS orders
  FROM flagged GROUP BY ALL
),
shares AS (
  SELECT since, place, what, total, orders,
    (sum(orders) OVER each_place - orders + 0.5) / (sum(total) OVER each_place - total + 1) AS usual
  FROM hours WINDOW each_place AS (PARTITION BY place, what)
),
counts AS (
  SELECT date_trunc('hour', placed_at) AS since, place, count(*) AS orders FROM placed GROUP BY ALL
),
same_hour AS (
  SELECT since, place, '{ORDERS}' AS what, sum(orders) OVER (PARTITION BY place, hour(since))::BIGINT AS total, orders,
    1 / (SELECT count(DISTINCT date_trunc('day', since)) FROM counts) AS usual
  FROM counts
)
SELECT * FROM (FROM shares UNION ALL FROM same_hour) WHERE orders > 2 AND orders > 1.5 * total * usual
"""

_FIRST = next(iter(_COUNTED))
_AROUND = f"""{_FLAGGED}
SELECT since, placed - found AS others, found
FROM (
  SELECT time_bucket(INTERVAL 30 MINUTE, placed_at) AS since,
    count(*) FILTER (what = '{_FIRST}') AS placed, count(*) FILTER ({{found}}) AS found
  FROM flagged
  WHERE place = {{place}} AND placed_at >= {{since}} AND placed_at < {{until}}
  GROUP BY ALL
)
ORDER BY since
"""

_BECAME = """
SELECT CASE WHEN state = '{rejected}' THEN state || ': ' || replace(coalesce(rejection_reason, 'no reason'), '_', ' ')
    ELSE state END AS became,
  count(*) FILTER (within) AS orders, count(*) FILTER (within) / sum(count(*) FILTER (within)) OVER () AS share,
  count(*) FILTER (NOT within) / nullif(sum(count(*) FILTER (NOT within)) OVER (), 0) AS usual_share,
  share - coalesce(usual_share, 0) AS more
FROM (
  SELECT *, placed_at >= {since} AND placed_at < {until} AS within FROM orders WHERE placed_at IS NOT NULL AND {here}
)
GROUP BY became HAVING orders > 0 ORDER BY orders DESC, became
"""


@dataclass(frozen=True)
class Finding:
    """At `place`, a restaurant or everywhere, in the hour from `hour` on: `orders` of `total` were `what`.

    `usual` is the share of them in all other hours; chance does this once in 10 to the power of `score` hours. From
    `since` until `until` are the hours around it in which anything of that place was worth a look.
    """

    place: str
    what: str
    hour: datetime
    since: datetime
    until: datetime
    orders: int
    total: int
    usual: float
    score: float


def unusual(lake: Lake) -> pa.Table:
    """The hours that are worth a look, the most unusual first: at `place` `orders` of `total` were `what`.

    What is counted of an order is slow notice, answer or kitchen, rejection, expiry, time that runs backwards, and
    repeated events; besides, a place's orders of an hour are held against those of the same hour on all days.
    """
    rows = lake.sql(_BY_HOUR).to_pylist()
    for row in rows:
        row["score"] = _score(row["orders"], row["total"], row["usual"])
    rows.sort(key=lambda row: (-row["score"], row["since"], row["place"], row["what"]))
    return pa.Table.from_pylist([row for row in rows if row["score"] >= WORTH_A_LOOK], schema=_UNUSUAL)


def by_hour(lake: Lake, found: pa.Table) -> pa.Table:
    """Of what `unusual` found the highest `score` of each hour, from the lake's first to its last, by `since`."""
    days = lake.contents.first_day, lake.contents.last_day
    ends = [datetime.combine(days[0], time(0), UTC), datetime.combine(days[1], time(23), UTC)]
    hours = pa.concat_tables(
        [found.select(["since", "score"]), pa.table([pa.array(ends, _TIME), pa.array([0.0, 0.0])], schema=_SCORES)]
    )
    return hours.group_by("since").aggregate([("score", "max")]).rename_columns(["since", "score"]).sort_by("since")


def finding(found: pa.Table) -> Finding | None:
    """The most unusual hour of what `unusual` found, with its neighbours; None where nothing stands out."""
    rows = found.to_pylist()
    if not rows or rows[0]["score"] < STANDS_OUT:
        return None
    worst = rows[0]
    there = {row["since"] for row in rows if row["place"] == worst["place"]}
    since, until = worst["since"], worst["since"] + _HOUR
    while since - _HOUR in there:
        since -= _HOUR
    while until in there:
        until += _HOUR
    return Finding(**{**worst, "hour": worst["since"], "since": since, "until": until})


def around(lake: Lake, one: Finding | None, margin: timedelta = timedelta(hours=4)) -> pa.Table:
    """The place's orders by half-hours, from `margin` before until `margin` after: `found` ones and `others`.

    Where it is the number of orders that is unusual, all of the finding's own time are `found`.
    """
    if one is None:
        return _AROUND_ROWS.empty_table()
    found = f"placed_at >= {_moment(one.since)} AND placed_at < {_moment(one.until)} AND what = {_text(_FIRST)}"
    here = found if one.what == ORDERS else f"flag AND what = {_text(one.what)}"
    query = _AROUND.format(
        found=here, place=_text(one.place), since=_moment(one.since - margin), until=_moment(one.until + margin)
    )
    return lake.sql(query).cast(_AROUND_ROWS)


def became(lake: Lake, one: Finding | None) -> pa.Table:
    """What became of the finding's orders: their `share`, that place's `usual_share`, and how much `more` it is."""
    if one is None:
        return _BECAME_ROWS.empty_table()
    here = "true" if one.place == EVERYWHERE else f"restaurant_id = {_text(one.place)}"
    query = _BECAME.format(here=here, since=_moment(one.since), until=_moment(one.until), rejected=REJECTED)
    return lake.sql(query).cast(_BECAME_ROWS)


def planted(ledger: str | None) -> Sentence:
    """What went wrong on purpose, by the ledger of `takeaway load history --scenario`, if a folder of one is named."""
    if not ledger:
        return Sentence("No ledger is named, so nothing says what the answer is: yours is as good as the data.")
    answers = []
    for path in sorted(Path(ledger).glob("*.jsonl")):
        with path.open("rb") as lines:
            phases = [json.loads(line) for line in lines if _PHASE in line]
        answers += [phase for phase in phases if phase["answer"]]
    if not answers:
        return Sentence(f"The ledger in {ledger} has no scenario: nothing was made to go wrong.")
    told = (f"{one['scenario']}, {one['since'][:16]} to {one['until'][:16]} UTC: {one['answer']}." for one in answers)
    return Sentence(" ".join(told))


def _score(orders: int, total: int, share: float) -> float:
    """Minus the common logarithm of the chance that `orders` or more of `total` come, at that share each."""
    if share >= 1:
        return 0.0
    logs = [
        math.lgamma(total + 1)
        - math.lgamma(k + 1)
        - math.lgamma(total - k + 1)
        + k * math.log(share)
        + (total - k) * math.log1p(-share)
        for k in range(orders, total + 1)
    ]
    largest = max(logs)
    return -(largest + math.log(sum(math.exp(one - largest) for one in logs))) / math.log(10)


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _moment(value: datetime) -> str:
    return f"TIMESTAMPTZ '{value.isoformat()}'"


_HOUR = timedelta(hours=1)
_PHASE = b'"kind":"phase"'
_TIME = pa.timestamp("us", "UTC")
_UNUSUAL = typed(
    since=_TIME,
    place=pa.string(),
    what=pa.string(),
    orders=pa.int64(),
    total=pa.int64(),
    usual=pa.float64(),
    score=pa.float64(),
)
_SCORES = typed(since=_TIME, score=pa.float64())
_AROUND_ROWS = typed(since=_TIME, others=pa.int64(), found=pa.int64())
_BECAME_ROWS = typed(
    became=pa.string(), orders=pa.int64(), share=pa.float64(), usual_share=pa.float64(), more=pa.float64()
)
