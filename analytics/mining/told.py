"""What steps told, as one SELECT over the lake's events: for those who ask by SQL, and have no database to mine in.

`flow` has a row for each event that a step may tell, `told` one for each that was; they join by `step` and `tells`.
"""

from collections.abc import Sequence
from textwrap import indent

from analytics.mining import statements
from analytics.mining.declared import Declared, declared
from events import CHOREOGRAPHY, EVENT_TYPES, Step


def flow_select(steps: Sequence[Step] = CHOREOGRAPHY) -> str:
    """Columns: step (its place), tells, actor, hears, deadline_seconds; the last two are null where there is none."""
    flow = declared(steps)
    rows = [
        f"({place}, {_text(EVENT_TYPES[event])}, {_text(step.actor)}, "
        f"{_text(EVENT_TYPES[step.listens_to]) if step.listens_to else 'NULL'}, {_seconds(flow, step)})"
        for place, step in enumerate(flow.steps)
        for event in step.publishes
    ]
    values = ",\n  ".join(rows)
    return f"SELECT * FROM (VALUES\n  {values}\n) AS flow(step, tells, actor, hears, deadline_seconds)"  # noqa: S608 - ours


def told_select(events: str, where: str = "", steps: Sequence[Step] = CHOREOGRAPHY) -> str:
    """Each event that a step told in time's order: step, tells, seconds since the event heard, and whether it was late.

    `events` is a table of events, each once, or a query in brackets; `where` a condition on them. `seconds` is null for
    a step that hears nothing. As of `mine`, which counts the same.
    """
    flow = declared(steps)
    types = ", ".join(f"({_text(name)}, {code})" for code, name in enumerate(flow.types))
    deadlines = ", ".join(
        f"({place}, {deadline}, {_after_accept_by(flow, step)})"
        for place, step in enumerate(steps)
        if (deadline := _heard_by(flow, step))
    )
    return f"""WITH types AS (SELECT * FROM (VALUES {types}) AS type(event_type, code)),
deadlines_us AS (SELECT * FROM (VALUES {deadlines}) AS deadline(step, deadline_us, after_us)),
happened AS (
  SELECT order_id AS number, code, hash(event_id) AS event, hash(cause) AS cause, epoch_us(occurred_at) AS at_us,
    epoch_us(accept_by) AS accept_us
  FROM {events} JOIN types USING (event_type){where}
),
orders AS (
{indent(statements.orders(flow).strip(), "  ")}
),
pairs AS (
{indent(statements.pairs(flow).strip(), "  ")}
)
SELECT step, event_type AS tells, (at_us - heard_at) / 1e6 AS seconds,
  coalesce(
    min(at_us - heard_at) OVER (PARTITION BY number, step, heard)
      > coalesce(accept_us + after_us - heard_at, deadline_us),
    false
  ) AS late
FROM pairs JOIN types USING (code) JOIN (SELECT number, accept_us FROM orders) USING (number)
  LEFT JOIN deadlines_us USING (step)
WHERE in_time"""  # noqa: S608 - words and numbers of ours


def _heard_by(flow: Declared, step: Step) -> int | None:
    return None if step.listens_to is None else flow.deadline(step)


def _after_accept_by(flow: Declared, step: Step) -> str:
    after = flow.after_accept_by(step)
    return "NULL::BIGINT" if after is None else str(after)


def _seconds(flow: Declared, step: Step) -> str:
    deadline = flow.deadline(step)
    return "NULL::DOUBLE" if deadline is None else f"{deadline / 1e6:g}::DOUBLE"


def _text(word: str) -> str:
    return f"'{word}'"
