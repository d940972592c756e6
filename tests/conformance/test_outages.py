"""The world is broken, and back: it is waited for, and costs nothing."""

import pytest

from consumers.diagnostics import LeaseLost, ShardFailed, ShardWaits
from foundation.kinesis.records import Record, SequenceNumber, position_key
from tests.conformance.engine import Engine
from tests.conformance.hooks import AWAY, THROTTLED, failing, once, raises, refusing
from tests.conformance.scene import TEXTS, Scene, key_of_half


def test_a_failed_record_is_waited_for_and_nothing_is_skipped(scene: Scene, engine: Engine) -> None:
    scene.put(*TEXTS)
    scene.before = refusing("text-11", times=5)
    engine.start()
    scene.run(120)
    assert scene.texts == TEXTS
    assert [wait.retry_in_seconds for wait in scene.all(ShardWaits)] == [1, 2, 4, 8, 16]


@pytest.mark.slow
def test_a_world_broken_for_an_hour_costs_nothing(scene: Scene, engine: Engine) -> None:
    numbers = scene.put("a", "b", "c")
    scene.before = refusing("b", times=1000, because=THROTTLED)
    engine.start()
    scene.run(3600)
    assert scene.texts == ["a"]
    assert engine.checkpoint() == SequenceNumber(numbers[0])
    scene.before = lambda _: None
    scene.run(120)
    assert scene.texts == ["a", "b", "c"]


@pytest.mark.slow
def test_while_it_is_broken_nobody_is_called_in_haste(scene: Scene, engine: Engine) -> None:
    scene.put("a")
    scene.before = refusing("a", times=1000)
    engine.start()
    scene.run(3600)
    assert len([batch for batch in scene.batches if batch.records]) < 3600 / 5


def test_a_checkpoint_never_runs_ahead_of_an_effect(scene: Scene, engine: Engine) -> None:
    scene.put(*TEXTS)
    early: list[str] = []

    def look(record: Record) -> None:
        if position_key(engine.checkpoint()) >= position_key(record.sequence_number):
            early.append(record.data.decode())

    scene.before = look
    engine.start()
    scene.run(20)
    assert scene.texts == TEXTS
    assert early == []


@pytest.mark.slow
def test_an_error_out_of_a_processor_loses_nothing(scene: Scene, engine: Engine) -> None:
    scene.put(*TEXTS)
    scene.before = failing("text-11", RuntimeError("no answer"), times=3)
    engine.start()
    scene.run(120)
    assert scene.nothing_lost()
    assert scene.texts == TEXTS


def test_a_processor_that_cannot_be_opened_is_opened_later(scene: Scene, engine: Engine) -> None:
    scene.put(*TEXTS)
    left = [AWAY] * 3
    scene.before_opening = lambda: raises(left.pop())() if left else None
    engine.start()
    scene.run(60)
    assert scene.texts == TEXTS
    assert len(scene.all(ShardFailed)) == 3


def test_a_broken_shard_keeps_no_other_waiting(scene: Scene, engine: Engine) -> None:
    scene.split()
    scene.put(*TEXTS, key=key_of_half(below=True))
    scene.put("other", key=key_of_half(below=False))
    scene.before = refusing("text-03", times=1000)
    engine.start()
    scene.run(60)
    assert scene.texts.count("other") == 1
    assert scene.texts.count("text-04") == 0


def test_a_handler_that_takes_a_minute_keeps_its_shard(scene: Scene, engine: Engine) -> None:
    scene.put("slow", "next")
    scene.before = once("slow", lambda: scene.run(60))
    engine.start()
    scene.run(1)
    engine.start()
    scene.run(90)
    assert scene.texts == ["slow", "next"]
    assert not scene.all(LeaseLost)
