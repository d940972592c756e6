"""The flow as it ran against the flow as declared, by SQL and, as the oracle, by plain Python."""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from analytics.mining.declared import declared
from analytics.mining.mining import mine
from analytics.mining.results import Kind, Mined
from events.choreography import CHOREOGRAPHY, RESTAURANT_NOTIFIER, USER_NOTIFIER, Bound, Step
from events.orders import (
    EVENT_TYPES,
    OrderAccepted,
    OrderCompleted,
    OrderPlaced,
    OrderRejected,
    RestaurantNotified,
    UserNotified,
)
from tests.analytics.mining.plain_python import mined_plainly, quantile
from tests.support.builders import NOON
from tests.support.lake_rows import GOOD, an_event, an_order
from tests.support.worlds.kept_folder import KeptFolder

pytestmark = pytest.mark.slow

_TIMES = ("occurred_at", "_arrived_at", "accept_by")
_MINED = ("order_id", "event_type", "event_id", "cause", *_TIMES)
_SCHEMA = pa.schema([(name, pa.timestamp("us", "UTC") if name in _TIMES else pa.string()) for name in _MINED])

# One that stays as it is, whatever the product's grows by: for tests that say in numbers what follows from it.
SCORE = (
    Step("customer", None, (OrderPlaced,), Bound.COMMAND, owner="ordering"),
    RESTAURANT_NOTIFIER,
    Step(
        "restaurant",
        RestaurantNotified,
        (OrderAccepted, OrderRejected),
        Bound.COMMAND,
        owner="restaurants",
        deadline=timedelta(minutes=10),
    ),
    USER_NOTIFIER,
    Step(
        "restaurant", OrderAccepted, (OrderCompleted,), Bound.COMMAND, owner="restaurants", deadline=timedelta(hours=2)
    ),
)
FEEDBACK = Step(
    "feedback", OrderCompleted, (UserNotified,), Bound.HANDLER, owner="customers", deadline=timedelta(hours=1)
)
WITHDRAWAL = Step("customer", OrderPlaced, (OrderRejected,), Bound.COMMAND, owner="ordering")
LATER_WITHDRAWAL = Step(
    "customer", OrderAccepted, (OrderRejected,), Bound.COMMAND, owner="ordering", deadline=timedelta(minutes=30)
)
# A person may tell a second thing without hearing anything, and may answer what a handler answers too.
UNASKED = Step("customer", None, (OrderPlaced, OrderRejected), Bound.COMMAND, owner="ordering")
IN_PLACE = Step(
    "ordering", OrderPlaced, (OrderCompleted,), Bound.COMMAND, owner="ordering", deadline=timedelta(minutes=10)
)
COUNTER = Step(
    "counter", RestaurantNotified, (OrderAccepted, OrderRejected, OrderCompleted), Bound.COMMAND, owner="restaurants"
)
FLOWS = (
    CHOREOGRAPHY,
    (*CHOREOGRAPHY, FEEDBACK),
    (WITHDRAWAL, *SCORE, LATER_WITHDRAWAL, FEEDBACK),
    (UNASKED, *SCORE[1:], IN_PLACE, COUNTER),
)


def asking(rows: Sequence[dict[str, Any]], schema: pa.Schema = _SCHEMA) -> Callable[[str], pa.Table]:
    """What `Lake.sql` is for a lake of these events, each there once."""
    events = pa.Table.from_pylist([{name: row[name] for name in schema.names} for row in rows], schema=schema)

    def ask(query: str) -> pa.Table:
        with duckdb.connect() as connection:
            connection.register("events", events)
            answer: pa.Table = connection.sql(query).to_arrow_table()
        return answer

    return ask


def caused(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each named after the last event before it, of those that handlers hear."""
    heard = ""
    for row in rows:
        row["cause"] = heard
        if row["event_type"] in {"order_placed", "order_accepted"}:
            heard = row["event_id"]
    return rows


def found(mined: Mined, steps: Sequence[Step]) -> set[tuple[Any, ...]]:
    return {
        (one.kind.value, one.order_id, one.events, one.step and steps.index(one.step), one.seconds, one.times)
        for one in mined.deviations
    }


def check(rows: list[dict[str, Any]], steps: Sequence[Step] = SCORE, speed: float = 1.0) -> Mined:
    """Mined, after it has been compared with what plain Python finds."""
    mined = mine(asking(rows), steps, speed=speed, most_variants=1000, most_orders=1000)
    expected = mined_plainly(rows, steps, speed)
    assert found(mined, steps) == {(*one[:4], _rounded(one[4]), one[5]) for one in expected.deviations}
    assert len(mined.deviations) == len(expected.deviations)
    assert mined.newest == expected.newest
    assert (mined.events, mined.orders) == (len(rows), len({row["order_id"] for row in rows}))
    orders = {(kind, order_id) for kind, order_id, *_ in expected.deviations}
    assert {kind.value: count for kind, count in mined.kinds.items()} == Counter(kind for kind, _ in orders)
    assert mined.deviating == len({order_id for _, order_id in orders})
    assert {variant.events: variant.orders for variant in mined.variants} == expected.variants
    assert (mined.other_variants, mined.other_orders) == (0, 0)
    for edge in mined.edges:
        took = expected.edges.get((steps.index(edge.step), edge.told), [])
        assert edge.count == len(took)
        shares = [edge.p50, edge.p95]
        if not took or edge.step.listens_to is None:
            assert shares == [None, None]
        else:
            assert shares == pytest.approx([quantile(took, 0.5), quantile(took, 0.95)], rel=1e-9, abs=1e-6)
    return mined


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1e6) / 1e6


TYPES = [*EVENT_TYPES.values(), "order_teleported"]
HOUR, YEAR = 3600, 365 * 86_400
offsets = st.one_of(
    st.integers(0, 120),
    st.sampled_from([0, 60, 61, 600, 601, 7200, 7201, -1, -5 * HOUR, 9 * HOUR, -3 * YEAR, 700 * YEAR]),
)
changes = st.tuples(
    st.sampled_from(["drop", "again", "move", "disown", "late arrival", "as", "promise", "nothing"]),
    st.integers(0, 9),
    offsets,
    st.sampled_from(TYPES),
)
histories = st.lists(
    st.tuples(
        st.sampled_from([GOOD, GOOD, ("restaurant_notified", "order_rejected"), ("restaurant_notified",), ()]),
        st.sampled_from([0, 0, 30, 4 * HOUR]),
        st.lists(changes, max_size=4),
    ),
    min_size=1,
    max_size=4,
)


def history_of(orders: list[Any]) -> list[dict[str, Any]]:
    rows = []
    for number, (steps, after, changed) in enumerate(orders):
        of_order = caused(an_order(*steps, order_id=f"o'{number}", after=after))
        for change, place, seconds, event_type in changed:
            if not of_order:
                break
            one = of_order[place % len(of_order)]
            if change == "drop":
                of_order.remove(one)
            elif change == "again":
                of_order.append(_moved(one, seconds) | {"event_id": f"{one['event_id']}/again/{len(of_order)}"})
            elif change == "move":
                one |= _moved(one, seconds)
            else:
                one |= _otherwise(change, one, seconds, event_type)
        rows += of_order
    return rows


def _otherwise(change: str, row: dict[str, Any], seconds: int, event_type: str) -> dict[str, Any]:
    match change:
        case "disown":
            return {"cause": "of another order"}
        case "late arrival":
            return {"_arrived_at": row["_arrived_at"] + timedelta(seconds=abs(seconds) % YEAR)}
        case "as":
            return {"event_type": event_type}
        case "promise":
            return {"accept_by": row["occurred_at"] + timedelta(seconds=seconds)}
    return {}


def _moved(row: dict[str, Any], seconds: int) -> dict[str, Any]:
    """By its own clock: it arrived when it did."""
    return row | {"occurred_at": row["occurred_at"] + timedelta(seconds=seconds)}


@given(orders=histories, steps=st.sampled_from(FLOWS), speed=st.sampled_from([1.0, 60.0]))
@example(orders=[(GOOD, 0, [("as", 3, 0, "order_rejected")])], steps=FLOWS[3], speed=1.0)
@example(orders=[(GOOD, 0, [("again", 2, 601, "")])], steps=FLOWS[2], speed=1.0)
@example(orders=[(GOOD[:1], 0, [("promise", 0, 60, "")]), (GOOD, 0, [])], steps=CHOREOGRAPHY, speed=60.0)
@example(
    orders=[(GOOD, 0, [("drop", 0, 0, "")]), ((), 0, [("as", 0, 0, "order_teleported")])], steps=FLOWS[0], speed=1.0
)
def test_whatever_happened_plain_python_finds_the_same(orders: list[Any], steps: Sequence[Step], speed: float) -> None:
    check(history_of(orders), steps, speed)


def test_many_orders_at_once_and_in_no_order() -> None:
    chance = random.Random(7)
    kinds = ["drop", "again", "move", "disown", "as", "promise"]
    orders: list[Any] = [(GOOD, 0, [("as", 4, 0, "order_rejected")])]
    for event_type in chance.choices(TYPES, k=300):
        change = (chance.choice(kinds), chance.randrange(9), chance.choice([0, 61, -9, 7201]), event_type)
        steps = chance.choice([GOOD, GOOD[:3], GOOD[:1]])
        orders.append((steps, chance.randrange(9000), [change] if chance.random() < 0.3 else []))
    rows = history_of(orders)
    chance.shuffle(rows)
    assert set(check(rows).kinds) == {*Kind}


def test_orders_that_keep_to_the_flow_do_not_deviate() -> None:
    rows = [row for number in range(50) for row in caused(an_order(*GOOD, order_id=f"order-{number}"))]
    rows += caused(an_order("restaurant_notified", "order_rejected", order_id="rejected"))
    mined = check(rows)
    assert (mined.deviating, mined.kinds, mined.deviations) == (0, {}, ())
    assert [(edge.told, edge.count, edge.p50, edge.late) for edge in mined.edges] == [
        ("order_placed", 51, None, 0),
        ("restaurant_notified", 51, 10.0, 0),
        ("order_accepted", 50, 10.0, 0),
        ("order_rejected", 1, 10.0, 0),
        ("user_notified", 50, 10.0, 0),
        ("order_completed", 50, 20.0, 0),
    ]


@pytest.mark.parametrize(
    ("steps", "deadline", "kind"),
    [
        ((), 60, Kind.MISSING),
        (("restaurant_notified",), 10 + 600, Kind.OVERDUE),
        (("restaurant_notified", "order_accepted"), 20 + 60, Kind.MISSING),
        (("restaurant_notified", "order_accepted", "user_notified"), 20 + 7200, Kind.OVERDUE),
    ],
)
def test_an_order_under_way_deviates_when_its_deadline_is_over(
    steps: tuple[str, ...], deadline: int, kind: Kind
) -> None:
    under_way = caused(an_order(*steps))

    def mined_at(seconds: float) -> Mined:
        newest = an_event("order_placed", order_id="newest", after=seconds)
        return check([*under_way, newest])

    assert mined_at(deadline).kinds == {}
    assert mined_at(deadline + 1e-6).kinds == {kind: 1}


@pytest.mark.parametrize("speed", [1.0, 60.0, 3600.0])
def test_an_answer_has_until_the_orders_accept_by_whatever_the_speed(speed: float) -> None:
    """As on LocalStack, where an order has a minute when the speed would leave it twenty seconds."""
    accept_by = NOON + timedelta(seconds=60)

    def kinds(*steps: str, after: float, newest: float) -> dict[Kind, int]:
        rows = caused(an_order(*steps))
        rows[0]["accept_by"], rows[-1]["occurred_at"] = accept_by, NOON + timedelta(seconds=after)
        later = an_event("order_placed", order_id="newest", after=newest)
        found = check([*rows, later], CHOREOGRAPHY, speed).kinds
        return {kind: count for kind, count in found.items() if kind in {Kind.LATE, Kind.OVERDUE}}

    assert kinds("restaurant_notified", after=1, newest=60) == {}
    assert kinds("restaurant_notified", after=1, newest=61) == {Kind.OVERDUE: 1}
    assert kinds("restaurant_notified", "order_rejected", after=59, newest=59) == {}
    assert kinds("restaurant_notified", "order_rejected", after=61, newest=61) == {Kind.LATE: 1}
    assert kinds("restaurant_notified", "order_expired", after=119, newest=119) == {}
    assert kinds("restaurant_notified", "order_expired", after=121, newest=121) == {Kind.LATE: 1}
    # The ticket itself came too late.
    found = mine(asking(_promised(accept_by)), CHOREOGRAPHY).deviations
    assert [(one.seconds, one.deadline) for one in found if one.kind is Kind.OVERDUE] == [(1, -9)]


def _promised(accept_by: datetime) -> list[dict[str, Any]]:
    rows = caused(an_order("restaurant_notified"))
    rows[0]["accept_by"], rows[1]["occurred_at"] = accept_by, accept_by + timedelta(seconds=9)
    return [*rows, an_event("order_placed", order_id="newest", after=70)]


def test_where_no_order_says_it_an_answer_has_what_the_back_end_leaves_it() -> None:
    rows = [*caused(an_order("restaurant_notified")), an_event("order_placed", order_id="newest", after=10 + 59)]
    assert mine(asking(rows), SCORE, speed=60).kinds == {Kind.OVERDUE: 1}
    assert mine(asking(rows), SCORE, speed=60, answer_within=timedelta(seconds=60)).kinds == {}


def test_a_lake_without_the_column_is_mined_all_the_same() -> None:
    rows = [*caused(an_order("restaurant_notified")), an_event("order_placed", order_id="newest", after=700)]
    without = [{name: value for name, value in row.items() if name != "accept_by"} for row in rows]
    assert mine(asking(without, _SCHEMA.remove(_SCHEMA.get_field_index("accept_by"))), SCORE) == mine(
        asking(rows), SCORE
    )


def test_an_event_is_no_newer_than_it_arrived() -> None:
    """Else one clock that is years ahead would make every order under way overdue."""
    ahead = an_event("order_placed", order_id="ahead", occurred_at=datetime(9999, 12, 31, tzinfo=UTC), _arrived_at=NOON)
    mined = check([an_event("order_placed"), ahead])
    assert (mined.newest, mined.kinds) == (NOON, {})


def test_a_new_step_is_checked_by_being_declared() -> None:
    rows = caused(an_order(*GOOD))
    later = an_event("order_placed", order_id="later", after=2 * HOUR)
    followed = an_event("user_notified", after=50, cause=rows[-1]["event_id"])
    assert check([*rows, later]).kinds == {}
    steps = (*SCORE, FEEDBACK)
    assert check([*rows, later], steps).kinds == {Kind.MISSING: 1}
    assert check([*rows, followed, later], steps).kinds == {}
    assert Kind.TWICE in check([*rows, followed, later]).kinds


def test_an_effect_alone_is_never_missing() -> None:
    """The stream does not show it, however soon it has to be."""
    rows = caused(an_order(*GOOD))
    later = an_event("order_placed", order_id="later", after=2 * HOUR)
    mailer = replace(FEEDBACK, publishes=())
    assert check([*rows, later], (*SCORE, mailer)).kinds == {}


def test_what_ends_an_order_follows_from_the_steps() -> None:
    def endings(steps: Sequence[Step]) -> set[str]:
        flow = declared(steps)
        return {flow.types[code] for code in flow.endings}

    assert endings(SCORE) >= {"order_rejected", "order_completed"}
    assert endings(SCORE).isdisjoint({"order_placed", "restaurant_notified", "order_accepted", "user_notified"})
    assert endings((*SCORE, FEEDBACK)) == endings(SCORE)
    assert "order_rejected" not in endings((*SCORE, Step("cook", OrderRejected, (OrderPlaced,), Bound.COMMAND, "")))


def test_every_end_of_an_order_is_one_and_excludes_all_that_leads_elsewhere() -> None:
    """By the product's own steps and states."""

    def kinds(*steps: str, ended_after: float) -> dict[Kind, int]:
        rows = caused(an_order(*steps))
        rows[-1]["occurred_at"] = NOON + timedelta(seconds=ended_after)
        newest = an_event("order_placed", order_id="newest", after=5 * HOUR)
        found = check([*rows, newest], CHOREOGRAPHY).kinds
        # What handlers owe an end is another matter.
        return {kind: count for kind, count in found.items() if kind is not Kind.MISSING}

    assert kinds("restaurant_notified", "order_cancelled", ended_after=60) == {}
    assert kinds("restaurant_notified", "order_expired", ended_after=600.5) == {}
    assert kinds("restaurant_notified", "order_expired", ended_after=661) == {Kind.LATE: 1}
    assert kinds("restaurant_notified", ended_after=10) == {Kind.OVERDUE: 1}
    for other in ("order_cancelled", "order_expired"):
        assert kinds(*GOOD[:3], other, ended_after=640) == {Kind.CONTRADICTORY: 1}


def test_what_is_told_unasked_begins_no_order_and_excludes_nothing_that_does() -> None:
    steps = (UNASKED, *SCORE[1:])
    assert check(caused(an_order("restaurant_notified", "order_rejected")), steps).kinds == {}
    assert check([an_event("order_rejected")], steps).kinds == {Kind.NEVER_PLACED: 1}


def test_no_step_is_overdue_of_an_order_that_another_command_took_on() -> None:
    steps = (*SCORE, IN_PLACE)
    newest = an_event("order_placed", order_id="newest", after=HOUR)
    assert check([*caused(an_order(*GOOD[:3])), newest], steps).kinds == {}
    assert check([*caused(an_order(*GOOD[:1])), newest], steps).kinds == {Kind.OVERDUE: 1}


def test_no_events_at_all() -> None:
    mined = mine(asking([]))
    assert (mined.events, mined.orders, mined.newest, mined.deviating, mined.variants) == (0, 0, None, 0, ())
    assert [edge.count for edge in mined.edges] == [0] * len(mined.edges)


def test_lists_are_bounded_and_counts_are_not() -> None:
    rows = [row for number in range(9) for row in caused(an_order(order_id=f"lost-{number}", after=number))]
    rows += [
        row for number in range(4) for row in an_order(*GOOD[: number + 1], order_id=f"order-{number}", after=HOUR)
    ]
    mined = mine(asking(rows), SCORE, most_variants=2, most_orders=3)
    assert next((variant.events, variant.orders) for variant in mined.variants) == (("order_placed",), 9)
    assert (len(mined.variants), mined.other_variants, mined.other_orders) == (2, 3, 3)
    assert (mined.kinds, mined.deviating) == ({Kind.MISSING: 9}, 9)
    assert [one.order_id for one in mined.deviations] == ["lost-8", "lost-7", "lost-6"]


def test_an_event_that_the_lake_has_twice_is_one(tmp_path: Path) -> None:
    folder, rows = KeptFolder(tmp_path), caused(an_order(*GOOD))
    folder.add(rows)
    folder.add([row | {"_arrived_at": NOON + timedelta(days=1), "_sequence_number": "9" * 57} for row in rows])
    mined = mine(folder.lake().sql, SCORE)
    assert (mined.events, mined.orders, mined.kinds) == (len(rows), 1, {})
    folder.compact()
    assert mine(folder.lake().sql, SCORE) == mined


def test_an_effect_alone_is_missed_by_none() -> None:
    """The mail about a voucher: nothing on the stream would ever tell that it was sent."""
    rows = an_order("restaurant_notified", "order_accepted", "user_notified", "order_completed")
    for row, heard in ((rows[1], rows[0]), (rows[3], rows[2])):
        row["cause"] = heard["event_id"]
    told = an_event("user_notified", after=41, cause=rows[4]["event_id"])
    voucher = an_event("voucher_issued", after=42, cause=rows[4]["event_id"])
    later = an_event("order_placed", order_id="order-2", after=3600 * 5)
    assert {one.order_id for one in check([*rows, told, voucher, later], CHOREOGRAPHY).deviations} == set()
