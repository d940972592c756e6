"""The screen at any size: every consumer is on it, nothing is too wide, and words say what colours do."""

import io
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from consumers.specs import readers
from takeaway.doctor import DeadLetters
from takeaway.overview.facts import MissedDeadlines, OpenOrders, Orders, Overview, ShardFlow, Unknown
from takeaway.overview.screen import lines, order_ids
from takeaway.standing import Verdict
from tests.takeaway.overview.an_overview import (
    NAMES,
    ORDER,
    a_consumer,
    a_lag,
    a_process,
    an_overview,
    frozen_notifier,
    missed,
)


def shown(overview: Overview, width: int = 80, height: int = 24, **more: object) -> list[str]:
    """As a terminal without colours has it."""
    out = io.StringIO()
    console = Console(file=out, width=width, height=height, color_system=None, force_terminal=True)
    for line in lines(overview, width, height, **more):  # type: ignore[arg-type]
        console.print(line, soft_wrap=True)
    return out.getvalue().splitlines()


# Behind the headline and the problems.
_FIRST_ROW = 2


def row(told: list[str], name: str) -> str:
    [found] = [line for line in told[_FIRST_ROW:] if line.split()[1:2] == [name]]
    return found


@pytest.mark.parametrize("width", [60, 80, 120])
def test_every_consumer_with_its_lag_and_owner_and_the_open_orders_are_there(width: int) -> None:
    told = shown(an_overview(), width)
    assert set(NAMES) == readers().keys()
    assert len(told) <= 24
    assert max(map(len, told)) <= width
    for name in NAMES:
        assert row(told, name).split()[:4] == ["✓", name, "0", "0"]
        assert "pid 4242" in row(told, name)
    assert any("3 placed   8 accepted   deadlines missed 0" in line for line in told)
    assert "no problems" in told
    assert any("restaurant after order_accepted: 37 s of" in line for line in told)


@pytest.mark.parametrize("width", [60, 80])
def test_a_frozen_consumer_is_named_with_its_lag_without_any_colour(width: int) -> None:
    told = shown(an_overview(consumers=(frozen_notifier(), a_consumer("archiver"))), width)
    assert told[1].startswith("✗ user_notifier (pid 4242) is frozen: 73 records unread")
    assert row(told, "user_notifier").split()[:4] == ["✗", "user_notifier", "73", "29"]
    assert "pid 4242 frozen" in row(told, "user_notifier")


def test_with_room_the_oldest_order_is_whole_enough_to_be_told_and_can_be_chosen() -> None:
    overview = an_overview(consumers=(frozen_notifier(),))
    assert order_ids(overview)[0] == ORDER
    assert ORDER[:13] in row(shown(overview, 120, 40), "user_notifier")
    assert shown(overview, 120, 40, chosen=ORDER, keys=True)[-1].startswith(f"{ORDER[:13]} · ")


def test_without_orders_there_are_none() -> None:
    nothing = an_overview(orders=Orders(OpenOrders(), MissedDeadlines()), shards=(), consumers=(), letters=())
    told = shown(nothing)
    assert any(line.startswith("open orders  none   deadlines missed 0") for line in told)
    assert any("slowest step not known" in line for line in told)
    assert order_ids(nothing) == ()


def test_a_thousand_letters_and_more_are_counted_in_their_consumers_row() -> None:
    letters = (
        DeadLetters("user_notifier", "s3://x", count=1_000, more=False),
        DeadLetters("archiver", "s3://x", 10_000, more=True),
    )
    told = shown(an_overview(letters=letters))
    assert "1,000" in row(told, "user_notifier").split()
    assert "10,000+" in row(told, "archiver").split()


def test_what_could_not_be_asked_is_unknown_with_its_reason_and_the_rest_is_there() -> None:
    silent = Unknown("no answer within 5 s")
    told = shown(an_overview(orders=silent, shards=silent, events=silent, letters=silent))
    assert "✗ the stream could not be asked: no answer within 5 s" in told
    assert "orders  unknown: no answer within 5 s" in told
    assert "shards  unknown: no answer within 5 s" in told
    assert "?" in row(told, "archiver").split(), "its letters"
    lost = a_consumer("archiver", trouble="no answer within 5 s", shards=())
    assert row(shown(an_overview(consumers=(lost,))), "archiver").split() == ["?", "archiver", "?", "?", "·", "0", "?"]


def test_a_lag_that_was_not_counted_to_its_end_says_so() -> None:
    told = shown(an_overview(consumers=(a_consumer(lag=a_lag(50_000, at_least=True, seconds=None)),)))
    assert row(told, "user_notifier").split()[:4] == ["✓", "user_notifier", "≥50,000", "?"]


def test_of_many_shards_the_fullest_are_shown_and_hot_ones_named() -> None:
    many = tuple(ShardFlow(f"shardId-{n:012d}", True, float(n), 10.0 * n, 10.0) for n in range(100))
    hot = replace(many[7], records_per_second=950.0)
    told = shown(an_overview(shards=(*many, hot)))
    assert len(told) <= 24
    assert "✗ shardId-000000000007 is hot: 95% of what it takes" in told
    assert "HOT" in next(line for line in told if line.startswith("shardId-000000000007"))
    assert any("shards that take less" in line for line in told)
    assert set(NAMES) <= {word for line in told for word in line.split()}


def test_missed_deadlines_name_the_order_the_step_and_who_answers_for_it_where_there_is_room() -> None:
    found = an_overview()
    assert isinstance(found.orders, Orders)
    late = MissedDeadlines(12, at_least=True, looked_at=60, oldest=tuple(missed(n) for n in range(10)))
    told = shown(replace(found, orders=replace(found.orders, missed=late)), 120, 40)
    assert any("deadlines missed 12+" in line for line in told)
    first = next(line for line in told if line.startswith("order-0-5feab"))
    assert first.split()[1:] == ["missed", "late", "90", "s", "user_notifier:", "user_notified", "customers"]


def test_other_processes_that_ended_are_named_and_their_consumers_not_twice() -> None:
    ended = a_process("api", up=False)
    told = shown(an_overview(processes=(ended,)))
    assert "✗ api (pid 4242) has ended" in told
    gone = a_process("user_notifier", up=False)
    consumers = (a_consumer(process=gone),)
    assert sum("has ended" in line for line in shown(an_overview(consumers=consumers, processes=(gone,)))) == 1
    assert consumers[0].verdict is Verdict.STOPPED


def test_an_id_that_a_terminal_would_obey_is_shown_escaped() -> None:
    oldest = replace(a_lag(1).oldest, order_id="\x1b[2J\nbad")  # type: ignore[type-var]
    told = shown(an_overview(consumers=(a_consumer(lag=a_lag(1, oldest=oldest)),)))
    assert "\x1b" not in "".join(told)


@given(st.integers(20, 200), st.integers(3, 60), st.integers(0, 30), st.integers(0, 12), st.booleans())
def test_no_screen_is_too_small(width: int, height: int, shards: int, late: int, silent: bool) -> None:
    overview = an_overview(
        shards=tuple(ShardFlow(f"shardId-{n:012d}", True, 1.0, 1.0, 10.0) for n in range(shards)),
        orders=Unknown("away")
        if silent
        else Orders(OpenOrders(), MissedDeadlines(late, oldest=tuple(missed(n) for n in range(late)))),
    )
    told = lines(overview, width, height, keys=True)
    assert len(told) <= height
    assert all(line.cell_len <= width for line in told)
