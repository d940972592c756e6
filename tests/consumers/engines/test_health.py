"""What keeps a shard from getting on is kept as long as it lasts, and no longer."""

from datetime import timedelta

import pytest

from consumers.diagnostics import (
    CheckpointFailed,
    ReadFailed,
    ShardFailed,
    ShardGoesOn,
    ShardStarted,
    ShardStopped,
    ShardWaits,
)
from consumers.engines.health import ShardHealth
from consumers.processing import ShardStop, Trouble
from foundation.diagnostics import Diagnostic
from tests.support.fakes.clock import FakeClock

SHARD = "shardId-0"
WAITS = ShardWaits(SHARD, "17", OSError("no route"), 1)
READ_FAILED = ReadFailed(SHARD, OSError("reset"), 1)


class Bed:
    def __init__(self) -> None:
        self.time = FakeClock()
        self.told: list[Trouble | None] = []
        self.happened: list[Diagnostic] = []
        self.health = ShardHealth(SHARD, tell=self.told.append, clock=self.time.clock, emit=self.happened.append)

    @property
    def trouble(self) -> Trouble | None:
        return self.told[-1] if self.told else None


@pytest.mark.parametrize(
    ("diagnostic", "words", "stopped"),
    [
        (WAITS, "OSError: no route", False),
        (READ_FAILED, "OSError: reset", False),
        (ShardFailed(SHARD, ValueError("bad"), 1), "ValueError: bad", False),
        (CheckpointFailed(SHARD, "17", OSError("refused"), 1), "OSError: refused", False),
        (ShardStopped(SHARD, ShardStop("a bad deployment"), 300), "a bad deployment", True),
    ],
)
def test_each_trouble_is_told_and_goes_on_to_the_log(diagnostic: Diagnostic, words: str, stopped: bool) -> None:
    bed = Bed()
    began = bed.time.clock.now()
    bed.health.emit(diagnostic)
    assert bed.told == [Trouble(words, began, stopped)]
    assert bed.happened == [diagnostic]


@pytest.mark.parametrize("diagnostic", [ShardStarted(SHARD, "17"), ShardWaits(SHARD, "17", None, 1)])
def test_what_is_no_trouble_is_only_said(diagnostic: Diagnostic) -> None:
    bed = Bed()
    bed.health.emit(diagnostic)
    bed.health.has_read()
    bed.health.has_got_on()
    assert (bed.told, bed.happened) == ([], [diagnostic])


def test_trouble_lasts_from_its_first_failure_until_the_shard_gets_on() -> None:
    bed = Bed()
    began = bed.time.clock.now()
    for _ in range(3):
        bed.health.emit(WAITS)
        bed.time.wait(10)
    # It opens again, and reads what it read before: that is no end of it.
    bed.health.emit(ShardStarted(SHARD, "17"))
    bed.health.has_read()
    bed.health.emit(ShardStopped(SHARD, ShardStop("worse"), 300))
    assert bed.trouble == Trouble("worse", began, stopped=True)
    bed.health.has_got_on()
    assert bed.trouble is None
    assert bed.happened[-1] == ShardGoesOn(SHARD, 30.0)


def test_trouble_with_reading_is_over_once_something_was_read() -> None:
    bed = Bed()
    bed.health.emit(READ_FAILED)
    bed.time.wait(2)
    bed.health.has_read()
    assert bed.trouble is None
    bed.health.emit(WAITS)
    later = bed.time.clock.now()
    bed.health.emit(READ_FAILED)
    bed.health.has_read()
    assert bed.trouble == Trouble("OSError: reset", later), "reading again does not end what else is wrong"


def test_an_error_of_many_words_is_cut() -> None:
    bed = Bed()
    bed.health.emit(ShardFailed(SHARD, ValueError("x" * 10_000), 1))
    assert bed.trouble is not None
    assert len(bed.trouble.error) == 500
    assert timedelta(0) == bed.time.clock.now() - bed.trouble.since
