"""The lake's answer follows from its records alone: not from the reader, nor from what has been compacted by then."""

import tempfile
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from analytics.lake import Lake
from analytics.maintenance.commit_once import Change
from analytics.maintenance.compaction import CompactionPolicy, Compactor
from analytics.reading.orders import timelines
from analytics.table.log import CommitRejected
from foundation.clock import SYSTEM_CLOCK
from tests.support.builders import NOON
from tests.support.lake_rows import a_table, an_event
from tests.support.worlds.kept_folder import KeptFolder

pytestmark = pytest.mark.slow

DAYS = 5
ORDERS = ("order-0", "order-1")
TYPES = ("order_placed", "restaurant_notified")
ALL = -1


def a_record(order: int, event: int, day: int, arrival: int) -> dict[str, Any]:
    """A copy of one of four events: two orders have the same two event ids. Arrivals have an order of their own."""
    moment = NOON + timedelta(days=day, seconds=arrival)
    return an_event(TYPES[event], order_id=ORDERS[order], event_id=f"event-{event}", occurred_at=moment) | {
        "_arrived_at": NOON + timedelta(hours=arrival),
        "_sequence_number": str(10**55 + arrival),
    }


def firsts(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The answer: of each event the first to arrive."""
    kept: dict[tuple[str, str], dict[str, Any]] = {}
    for record in sorted(records, key=lambda record: record["_arrived_at"]):
        kept.setdefault((record["order_id"], record["event_id"]), record)
    return list(kept.values())


def places(rows: list[dict[str, Any]]) -> list[str]:
    return sorted(row["_sequence_number"] for row in rows)


def check(lake: Lake, records: list[dict[str, Any]]) -> None:
    expected = firsts(records)
    assert places(lake.events().to_pylist()) == places(expected)
    assert sorted(lake.pandas()["_sequence_number"]) == places(expected)
    assert sorted(lake.polars().select("_sequence_number").collect()["_sequence_number"]) == places(expected)
    assert places(lake.sql("FROM events").to_pylist()) == places(expected)
    for order in ORDERS:
        assert places(lake.order(order).to_pylist()) == places([row for row in expected if row["order_id"] == order])
    assert lake.orders().equals(timelines(a_table(expected)))


def check_windows(lake: Lake, records: list[dict[str, Any]]) -> None:
    """A window shows of the same events those that occurred in it."""
    for day in {record["event_date"] for record in records}:
        since = datetime.combine(day, time.min, UTC)
        until = since + timedelta(days=1)
        within = [row for row in firsts(records) if since <= row["occurred_at"] < until]
        assert places(lake.events(since, until).to_pylist()) == places(within)
        assert places(lake.sql("FROM events", since, until).to_pylist()) == places(within)
        assert places(lake.polars(since, until).collect().to_dicts()) == places(within)
        of_order = [row for row in within if row["order_id"] == ORDERS[0]]
        assert places(lake.order(ORDERS[0], since, until).to_pylist()) == places(of_order)


copies = st.tuples(st.integers(0, 1), st.integers(0, 1), st.integers(0, DAYS - 1))
added = st.lists(copies, min_size=1, max_size=3)
steps = st.one_of(added, st.integers(ALL, DAYS - 1), st.just("vacuum"))


@settings(max_examples=10)
@given(history=st.lists(steps, min_size=2, max_size=6), arrivals=st.permutations(range(30)))
@example(history=[[(0, 0, 0)], [(0, 0, 1)], ALL], arrivals=list(range(30)))
@example(history=[[(0, 0, 0)], [(0, 0, 2)], ALL], arrivals=list(range(30)))
@example(history=[[(0, 0, 4)], [(0, 0, 0)], 4, 0], arrivals=[2, 1, *range(3, 31)])
@example(history=[[(0, 0, 0), (1, 0, 0)], [(1, 0, 3)], 0, 3, "vacuum"], arrivals=list(range(30)))
@example(history=[[(0, 0, 1)], ALL, [(0, 0, 2)], [(0, 0, 3)], 3, 2], arrivals=[3, 2, 1, *range(4, 31)])
def test_all_readers_agree_whatever_was_compacted_when(history: list[Any], arrivals: list[int]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        lake, records, next_arrival = KeptFolder(Path(folder)), list[dict[str, Any]](), iter(arrivals)
        for step in history:
            if isinstance(step, list):
                new = [a_record(order, event, day, next(next_arrival)) for order, event, day in step]
                records += new
                lake.add(new)
            elif records and step == "vacuum":
                lake.vacuum()
            elif records:
                lake.compact(*([] if step == ALL else [(NOON + timedelta(days=step)).date()]))
                check(lake.lake(), records)
        if records:
            check(lake.lake(), records)
            check_windows(lake.lake(), records)


def test_a_kill_between_two_days_of_a_compaction_leaves_the_answer(tmp_path: Path) -> None:
    """The day that has the later copy goes first: at no moment is an event in two compacted files."""
    lake = KeptFolder(tmp_path)
    first, later = a_record(0, 0, 0, arrival=1), a_record(0, 0, 4, arrival=2)
    lake.add([later])
    lake.compact()
    lake.add([first])
    days = [NOON.date()]
    moments = Compactor(lake.bucket, lake.log, CompactionPolicy(), SYSTEM_CLOCK, lambda _: None).run(days)
    done = []
    for day in moments:
        done.append((day.day, day.dropped))
        check(lake.lake(), [first, later])
    assert done == [((NOON + timedelta(days=4)).date(), 1), (NOON.date(), 0)]


def test_of_two_compactions_at_once_neither_leaves_a_copy_beside_the_other(tmp_path: Path) -> None:
    """The second has read the lake before the first one's copy was there."""
    lake = KeptFolder(tmp_path)
    first, later = a_record(0, 0, 0, arrival=1), a_record(0, 0, 4, arrival=2)
    lake.add([later])
    compactor = Compactor(lake.bucket, lake.log, CompactionPolicy(), SYSTEM_CLOCK, lambda _: None)
    change = compactor._change(lake.log.snapshot(), (NOON + timedelta(days=4)).date(), None)
    stale = lake.log.snapshot()
    lake.add([first])
    lake.compact(NOON.date())
    assert isinstance(change, Change)
    with pytest.raises(CommitRejected):
        stale.commit(change.uploads.files, change.entries, replacing=change.replacing)
    check(lake.lake(), [first, later])
