"""Rows that wait for a file are kept once, at every moment."""

import pytest

from consumers.diagnostics import ShardStopped
from foundation.kinesis.records import Sentinel, SequenceNumber
from tests.conformance.engine import FIRST, Engine
from tests.conformance.hooks import THROTTLED, raises, refusing
from tests.conformance.processors import lake
from tests.conformance.scene import TAKE_OVER, TEXTS, Scene, another_process


def test_rows_are_kept_once_at_every_moment(scene: Scene, engine: Engine) -> None:
    scene.consumer = lake
    scene.put(*TEXTS)
    scene.file_is_due = lambda: True
    deaths = [engine.die, engine.die]
    scene.after_flush = lambda: deaths.pop()() if deaths else None
    engine.start()
    another_process(scene, engine)
    another_process(scene, engine)
    assert scene.texts == TEXTS


def test_rows_lost_with_their_process_are_read_again(scene: Scene, engine: Engine) -> None:
    scene.consumer = lake
    scene.put(*TEXTS)
    deaths = [engine.die]
    scene.before_flush = lambda: deaths.pop()() if deaths else None
    scene.file_is_due = lambda: len(scene.batches) % 3 == 0
    engine.start()
    another_process(scene, engine)
    scene.file_is_due = lambda: True
    scene.run(10)
    assert scene.texts == TEXTS


def test_where_the_processor_is_ahead_nothing_is_given_again(scene: Scene, engine: Engine) -> None:
    scene.consumer = lake
    numbers = scene.put(*TEXTS)
    scene.lake[FIRST] = SequenceNumber(numbers[9])
    scene.file_is_due = lambda: True
    engine.start()
    scene.run(20)
    assert scene.texts == TEXTS[10:]
    assert engine.checkpoint() == SequenceNumber(numbers[-1])


@pytest.mark.slow
def test_where_the_processor_is_behind_nothing_is_left_out(scene: Scene, engine: Engine) -> None:
    scene.consumer = lake
    scene.put(*TEXTS)
    scene.file_is_due = lambda: True
    engine.start()
    scene.run(20)
    engine.crash()
    scene.lake.clear()
    scene.effects.clear()
    scene.put("late")
    engine.start()
    scene.run(TAKE_OVER)
    assert scene.texts == [*TEXTS, "late"] or (scene.texts == [] and scene.all(ShardStopped))


@pytest.mark.slow
def test_a_flush_that_fails_is_tried_again(scene: Scene, engine: Engine) -> None:
    scene.consumer = lake
    scene.put(*TEXTS)
    scene.split()
    failures: list[Exception] = [THROTTLED] * 3
    scene.before_flush = lambda: raises(failures.pop())() if failures else None
    engine.start()
    scene.run(TAKE_OVER)
    assert scene.texts == TEXTS
    assert engine.checkpoint() is Sentinel.SHARD_END


@pytest.mark.slow
def test_a_lake_away_for_an_hour_loses_nothing(scene: Scene, engine: Engine) -> None:
    scene.consumer = lake
    scene.put(*TEXTS)
    scene.split()
    scene.before_flush = raises(THROTTLED)
    engine.start()
    scene.run(3600)
    assert scene.texts == []
    assert engine.checkpoint() is Sentinel.TRIM_HORIZON
    scene.before_flush = lambda: None
    scene.run(TAKE_OVER)
    assert scene.texts == TEXTS
    assert engine.checkpoint() is Sentinel.SHARD_END


def test_time_passes_on_an_idle_shard(scene: Scene, engine: Engine) -> None:
    scene.consumer = lake
    (number,) = scene.put("a")
    scene.file_is_due = lambda: scene.time.monotonic() > 30
    engine.start()
    scene.run(25)
    assert scene.texts == []
    scene.run(15)
    assert scene.texts == ["a"]
    assert engine.checkpoint() == SequenceNumber(number)


def test_stopping_flushes_what_waits(scene: Scene, engine: Engine) -> None:
    scene.consumer = lake
    (number,) = scene.put("a")
    engine.start()
    scene.run(15)
    assert scene.texts == []
    engine.stop()
    assert scene.texts == ["a"]
    assert engine.checkpoint() == SequenceNumber(number)


@pytest.mark.slow
def test_a_restart_repeats_nothing(scene: Scene, engine: Engine) -> None:
    scene.put(*TEXTS)
    engine.start()
    scene.run(20)
    engine.stop()
    scene.put("late")
    engine.start()
    scene.run(TAKE_OVER)
    assert scene.texts == [*TEXTS, "late"]


@pytest.mark.slow
def test_stopping_while_a_record_fails_loses_nothing(scene: Scene, engine: Engine) -> None:
    numbers = scene.put("a", "b", "c")
    scene.before = refusing("b", times=1000)
    engine.start()
    scene.run(20)
    engine.stop()
    assert engine.checkpoint() == SequenceNumber(numbers[0])
    scene.before = lambda _: None
    engine.start()
    scene.run(TAKE_OVER)
    assert scene.texts == ["a", "b", "c"]
