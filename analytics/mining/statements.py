"""The SQL of mining, written from what is declared.

Tables: `types` (event_type, code) has the declared types first; `ids` gives each order a number, which it goes by in
the others; `happened` has every event once, its type by code and its times in microseconds; `orders` a row an order,
with `n<code>` for how often each declared type happened, for types that a step hears `t<code>`, `e<code>` for when
first and by which event, and `accept_us` as the first event says that says so; `pairs` a row for each declared event,
with the step that told it and the event that it answers; `deviations` what is found.
"""

from collections.abc import Iterable

from analytics.mining.declared import Declared, is_answer, is_handler
from analytics.mining.results import Kind
from events import Step

IDS = """
CREATE TEMP TABLE ids AS
SELECT order_id, row_number() OVER ()::INTEGER AS number FROM (SELECT DISTINCT order_id FROM events)
"""

HAPPENED = """
CREATE TEMP TABLE happened AS
SELECT number, code, event, cause, epoch_us(occurred_at) AS at_us, epoch_us(accept_by) AS accept_us
FROM events JOIN types USING (event_type) JOIN ids USING (order_id)
"""

# Events of one microsecond are in the choreography's order.
VARIANTS = """
SELECT codes, count(*) AS orders, count(*) OVER () AS variants
FROM (
  SELECT list_transform(list_sort(list({'at_us': at_us, 'code': code})), lambda one: one.code) AS codes
  FROM happened GROUP BY number
)
GROUP BY codes
ORDER BY orders DESC, codes
LIMIT $limit
"""

EDGES = """
SELECT step, code, count(*) AS told,
  quantile_cont((at_us - heard_at) / 1e6, [0.5, 0.95]) FILTER (heard IS NOT NULL) AS seconds
FROM pairs
WHERE in_time
GROUP BY step, code
"""

LATE_EDGES = (
    "SELECT step, codes[1] AS code, sum(times)::BIGINT AS late FROM deviations WHERE kind = 'late' GROUP BY ALL"
)

KINDS = "SELECT kind, count(DISTINCT number) AS orders FROM deviations GROUP BY kind"

LISTED = """
SELECT kind, order_id, codes, step, us, within_us, times
FROM deviations JOIN orders USING (number) JOIN ids USING (number)
QUALIFY dense_rank() OVER (PARTITION BY kind ORDER BY began DESC, order_id) <= $limit
ORDER BY began DESC, order_id, step, codes
"""

# Before anything that was heard, for a step that hears nothing.
_LOWEST = "-9223372036854775807::BIGINT"


def orders(flow: Declared) -> str:
    codes = range(len(flow.types))
    counts = [f"count(*) FILTER (code = {code}) AS n{code}" for code in codes]
    firsts = [
        f"min(at_us) FILTER (code = {code}) AS t{code}, arg_min(event, at_us) FILTER (code = {code}) AS e{code}"
        for code in codes
        if any(code == flow.heard(step) for step in flow.steps)
    ]
    return f"""
SELECT number, min(at_us) AS began, arg_min(accept_us, (at_us, accept_us)) FILTER (accept_us IS NOT NULL) AS accept_us,
  {", ".join([*counts, *firsts])}
FROM happened GROUP BY number"""  # noqa: S608 - numbers of ours


def pairs(flow: Declared) -> str:
    """Each event beside what it answers.

    What a handler tells names the event heard as its cause; where that is none of the order's, and for a command, it is
    the first event of a type that the step hears. Of several steps that may have told it, it is the one that heard last
    before it.
    """
    by_cause = sorted({code for step in flow.steps if is_handler(step) for code in flow.told(step)})
    cases = [f"WHEN {code} THEN {_best(flow, code)}" for code in range(len(flow.types)) if flow.tellers(code)]
    return f"""
SELECT number, code, at_us, -best.place AS step, best.heard AS heard, nullif(best.heard_at, {_LOWEST}) AS heard_at,
  coalesce(best.in_time, false) AS in_time
FROM (
  SELECT t.number, t.code, t.at_us, CASE t.code {" ".join(cases)} END AS best
  FROM happened t JOIN orders o USING (number)
  LEFT JOIN happened h ON h.number = t.number AND h.event = t.cause AND {_one_of("t.code", by_cause)}
  WHERE t.code < {len(flow.types)}
)"""  # noqa: S608 - numbers of ours


def _best(flow: Declared, code: int) -> str:
    candidates = [_candidate(flow, place, step) for place, step in flow.tellers(code)]
    return candidates[0] if len(candidates) == 1 else f"greatest({', '.join(candidates)})"


def _candidate(flow: Declared, place: int, step: Step) -> str:
    heard = flow.heard(step)
    if heard is None:
        return _struct("false", "true", _LOWEST, place, "NULL::UBIGINT")
    known = f"h.code IS NOT DISTINCT FROM {heard}" if is_handler(step) else "false"
    at = f"CASE WHEN {known} THEN h.at_us ELSE o.t{heard} END"
    event = f"CASE WHEN {known} THEN h.event ELSE o.e{heard} END"
    return f"CASE WHEN o.n{heard} > 0 THEN {_struct(known, f'{at} <= t.at_us', at, place, event)} END"


def _struct(known: str, in_time: str, heard_at: str, place: int, event: str) -> str:
    """Structs compare by their fields, from the first on."""
    return (
        f"{{'known': {known}, 'in_time': {in_time}, 'heard_at': {heard_at}, 'place': {-place}::INTEGER, "
        f"'heard': {event}}}"
    )


def deviations(flow: Declared, newest_us: int) -> str:
    """All that deviates; `codes` are types, `us` microseconds, within which it was due `within_us`, `times` how many
    alike the order has.
    """
    found = [
        _never_placed(flow),
        _wrong_order(flow),
        _contradictory(flow),
        *(_twice(flow, code) for code in range(len(flow.types))),
        *(_late(flow, place, step) for place, step in enumerate(flow.steps)),
        *(_not_told(flow, place, step, newest_us) for place, step in enumerate(flow.steps)),
    ]
    selects = "\nUNION ALL\n".join(filter(None, found))
    return f"CREATE TEMP TABLE deviations AS\n{selects}"


def _never_placed(flow: Declared) -> str:
    # What a newer release tells may begin an order too.
    known = _one_of("codes[1]", range(len(flow.types)))
    firsts = "SELECT number, [arg_min(code, (at_us, code))] AS codes FROM happened"
    unplaced = f"SELECT number FROM orders WHERE {_unplaced(flow)}"  # noqa: S608 - numbers of ours
    return (
        _row(Kind.NEVER_PLACED, "codes")
        + f" FROM ({firsts} WHERE number IN ({unplaced}) GROUP BY number) WHERE {known}"
    )


def _unplaced(flow: Declared) -> str:
    return _none_of(flow.starts)


def _wrong_order(flow: Declared) -> str:
    # What answers the placing alone says nothing more of an order that was never placed.
    after_start = [
        code
        for code in range(len(flow.types))
        if flow.tellers(code) and all(flow.heard(step) in flow.starts for _, step in flow.tellers(code))
    ]
    row = _row(
        Kind.WRONG_ORDER, "[code]", step="arg_max(step, heard_at - at_us)", us="max(heard_at - at_us)", times="count(*)"
    )
    return (
        f"{row} FROM pairs p JOIN orders o USING (number) WHERE NOT in_time "
        f"AND NOT ({_one_of('code', after_start)} AND {_unplaced(flow)}) GROUP BY number, code"
    )


def _contradictory(flow: Declared) -> str:
    # Groups may overlap: once for the same events.
    selects = " UNION ".join(_excluding(group) for group in flow.alternatives)
    return f"SELECT * FROM ({selects})" if selects else ""  # noqa: S608 - numbers of ours


def _excluding(group: tuple[int, ...]) -> str:
    present = ", ".join(f"CASE WHEN n{code} > 0 THEN {code} END" for code in group)
    told = f"list_filter([{present}], lambda one: one IS NOT NULL)"
    return _row(Kind.CONTRADICTORY, told) + f" FROM orders o WHERE len({told}) > 1"


def _twice(flow: Declared, code: int) -> str:
    # Handlers tell once for each kind of event that they hear.
    heard = [f"(n{flow.heard(step)} > 0)::INTEGER" for _, step in flow.tellers(code) if is_handler(step)]
    allowed = f"greatest(1, {' + '.join(heard)})" if heard else "1"
    return _row(Kind.TWICE, f"[{code}]", times=f"n{code}") + f" FROM orders o WHERE n{code} > {allowed}"


def _late(flow: Declared, place: int, step: Step) -> str:
    within = _within(flow, step, "heard_at")
    if not within or step.listens_to is None:
        return ""
    accept_by = "JOIN (SELECT number, accept_us FROM orders) USING (number) " if is_answer(step) else ""
    told = f"SELECT *, at_us - heard_at AS took, {within} AS within_us FROM pairs {accept_by}"  # noqa: S608
    told += f"WHERE step = {place} AND in_time"
    row = _row(
        Kind.LATE, "[code]", step=str(place), us="max(took)", within="arg_max(within_us, took)", times="count(*)"
    )
    return (
        # One of several that the step may tell is enough, and so is the first of two.
        f"{row} FROM (FROM ({told} AND took > within_us) "
        f"ANTI JOIN ({told} AND took <= within_us) USING (number, heard)) GROUP BY number, code"
    )


def _within(flow: Declared, step: Step, heard_at: str) -> str:
    """How long after that moment the step is due, in microseconds, as SQL; empty where it need not come."""
    deadline, after = flow.deadline(step), flow.after_accept_by(step)
    if deadline is None:
        return ""
    # guarantee: an answer has until the order's accept_by, whatever the speed
    return str(deadline) if after is None else f"coalesce(accept_us + {after} - {heard_at}, {deadline})"


def _not_told(flow: Declared, place: int, step: Step, newest_us: int) -> str:
    """A handler has to answer each event that it hears. A person answers an order, unless it went on otherwise."""
    heard = flow.heard(step)
    within = _within(flow, step, f"t{heard}")
    if heard is None or not within:
        return ""
    # guarantee: an order under way deviates only when a deadline is over
    is_over = f"> {within}"
    if is_handler(step):
        waited = f"max({newest_us} - at_us)"
        row = _row(Kind.MISSING, "[]::INTEGER[]", step=str(place), us=waited, within=within, times="count(*)")
        heard_it = f"SELECT number, event AS heard, at_us FROM happened WHERE code = {heard}"  # noqa: S608
        answered = f"SELECT number, heard FROM pairs WHERE step = {place}"  # noqa: S608
        return (
            f"{row} FROM (FROM ({heard_it} AND {newest_us} - at_us {is_over}) "
            f"ANTI JOIN ({answered}) USING (number, heard)) GROUP BY number"
        )
    row = _row(Kind.OVERDUE, "[]::INTEGER[]", step=str(place), us=f"{newest_us} - t{heard}", within=within)
    waits = _none_of(flow.others(step))
    return f"{row} FROM orders o WHERE n{heard} > 0 AND {newest_us} - t{heard} {is_over} AND {waits}"


def _row(
    kind: Kind, codes: str, *, step: str = "NULL", us: str = "NULL", within: str = "NULL", times: str = "1"
) -> str:
    return (
        f"SELECT '{kind.value}' AS kind, number, {codes}::INTEGER[] AS codes, {step}::INTEGER AS step, "
        f"{us}::BIGINT AS us, {within}::BIGINT AS within_us, {times}::BIGINT AS times"
    )


def _none_of(codes: Iterable[int]) -> str:
    return " AND ".join(["true", *(f"n{code} = 0" for code in sorted(codes))])


def _one_of(column: str, codes: Iterable[int]) -> str:
    listed = ", ".join(str(code) for code in codes)
    return f"{column} IN ({listed})" if listed else "false"
