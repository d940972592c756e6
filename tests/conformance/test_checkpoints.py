"""Checkpoints that are throttled, and shards that were lost to somebody else."""

import pytest

from consumers.diagnostics import CheckpointFailed, LeaseLost
from foundation.kinesis.records import SequenceNumber
from tests.conformance.engine import Engine
from tests.conformance.hooks import once
from tests.conformance.scene import TAKE_OVER, TEXTS, Scene


def test_a_throttled_checkpoint_is_written_later(scene: Scene, engine: Engine) -> None:
    engine.start()
    scene.run(12)
    engine.break_checkpoints(3)
    numbers = scene.put(*TEXTS)
    scene.run(60)
    assert scene.texts == TEXTS
    assert engine.checkpoint() == SequenceNumber(numbers[-1])
    assert scene.all(CheckpointFailed)


def test_who_lost_its_shard_checkpoints_nothing(scene: Scene, engine: Engine) -> None:
    numbers = scene.put("a", "b")

    def stand_still() -> None:
        engine.freeze()
        scene.run(0)  # the others go on; this one does when the engine ends

    scene.after = once("a", stand_still)
    engine.start()
    scene.run(10)
    engine.start()
    scene.run(TAKE_OVER)
    assert engine.checkpoint() == SequenceNumber(numbers[-1])
    scene.put("c")
    scene.run(10)
    after = engine.checkpoint()
    engine.end()
    assert engine.checkpoint() == after
    assert scene.nothing_lost()


@pytest.mark.slow
def test_who_lost_its_shard_stops(scene: Scene, engine: Engine) -> None:
    engine.start()
    scene.run(10)
    goes_on = engine.freeze()
    scene.put("a")
    engine.start()
    scene.run(TAKE_OVER)
    goes_on()
    scene.put("b")
    scene.run(TAKE_OVER)
    assert scene.texts == ["a", "b"]
    assert len(scene.all(LeaseLost)) == 1
