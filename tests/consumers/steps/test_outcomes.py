"""Outcomes that DynamoDB leaves unread: asked for a few times, then the engine's to wait for, and to tell."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest

from consumers.diagnostics import ShardWaits
from consumers.engines.feeding import Feeder
from consumers.processing import ShardAssignment, Unavailable
from consumers.steps.outcomes import DynamoDBOutcomes
from consumers.verdicts import Verdict, verdict_of
from foundation.diagnostics import Diagnostic
from foundation.kinesis.records import Sentinel
from tests.consumers.steps.test_step import Shard
from tests.support.builders import a_batch, a_record
from tests.support.fakes.clock import FakeClock

TABLE = "outcomes"


class Table:
    """A DynamoDB that answers each read with as many of the keys as it is told to, and notes when it was asked."""

    def __init__(self, time: FakeClock, answered: Callable[[int], int]) -> None:
        self._time = time
        self._answered = answered
        self.asked_at: list[float] = []

    def batch_get_item(self, RequestItems: Any) -> Any:  # noqa: N803 - boto3's name
        self.asked_at.append(self._time.monotonic())
        keys = RequestItems[TABLE]["Keys"]
        done = keys[: self._answered(len(self.asked_at))]
        left = keys[len(done) :]
        items = [{"outcome_id": key["outcome_id"], "outcome": {"B": b"told"}} for key in done]
        return {
            "Responses": {TABLE: items},
            "UnprocessedKeys": {TABLE: {"Keys": left, "ConsistentRead": True}} if left else {},
        }


def outcomes(table: Table, time: FakeClock) -> DynamoDBOutcomes:
    client: Any = table
    return DynamoDBOutcomes(client, TABLE, "app", keep=timedelta(days=1), clock=time.clock, wait=time.wait)


def names(count: int) -> Sequence[str]:
    return [f"event-{number}" for number in range(count)]


def test_what_is_left_unprocessed_is_asked_for_again_with_growing_pauses() -> None:
    time = FakeClock()
    table = Table(time, lambda reads: 0 if reads < 4 else 100)
    assert outcomes(table, time).recall(names(3)) == dict.fromkeys(names(3), b"told")
    assert time.waits == [0.1, 0.2, 0.4]


def test_a_table_that_answers_a_few_at_a_time_is_read_to_its_end() -> None:
    time = FakeClock()
    assert len(outcomes(Table(time, lambda _: 5), time).recall(names(100))) == 100
    assert set(time.waits) == {0.1}


def test_a_table_that_answers_nothing_is_left_to_the_engine() -> None:
    time = FakeClock()
    table = Table(time, lambda _: 0)
    with pytest.raises(Unavailable, match=r"left 3 outcomes in outcomes unread.*fix: ") as raised:
        outcomes(table, time).recall(names(3))
    assert verdict_of(raised.value) is Verdict.DEPENDENCY
    assert len(table.asked_at) == 6
    assert time.monotonic() < 5


def test_a_stop_ends_it_at_once() -> None:
    time = FakeClock()
    time.stopping = True
    table = Table(time, lambda _: 0)
    with pytest.raises(Unavailable):
        outcomes(table, time).recall(names(3))
    assert len(table.asked_at) == 1


def test_ten_minutes_without_outcomes_are_told_cost_few_reads_and_no_effect() -> None:
    time = FakeClock()
    shard = Shard()
    table = Table(time, lambda _: 0)
    store: Any = outcomes(table, time)
    shard.outcomes = store
    happened: list[Diagnostic] = []

    def wait(seconds: float) -> bool:
        time.wait(seconds)
        return time.monotonic() > 600

    assignment = ShardAssignment("orders", "shard", Sentinel.TRIM_HORIZON)
    feeder = Feeder(shard.processor(), assignment, checkpoint=lambda _: True, wait=wait, emit=happened.append)
    assert not feeder.feed(a_batch(a_record(1)))
    assert len(table.asked_at) < 200
    assert all(isinstance(one, ShardWaits) and "unread" in str(one.error) for one in happened)
    assert len(happened) > 10
    assert shard.kitchen.told == []
    assert shard.letters.written == []
