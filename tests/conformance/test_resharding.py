"""Children begin when all their parents are done."""

import pytest

from consumers.diagnostics import ShardGone
from foundation.kinesis.records import Sentinel
from tests.conformance.engine import FIRST, Engine
from tests.conformance.hooks import once, refusing
from tests.conformance.processors import lake
from tests.conformance.scene import TAKE_OVER, TEXTS, Scene, another_process, key_of_half

pytestmark = pytest.mark.slow

SECOND, THIRD, FOURTH = (f"shardId-{number:012}" for number in (1, 2, 3))


def test_children_begin_when_their_parent_is_done(scene: Scene, engine: Engine) -> None:
    scene.put(*TEXTS[:10])
    scene.split()
    scene.put(*TEXTS[10:])
    scene.before = refusing("text-09", times=4)
    engine.start()
    scene.run(TAKE_OVER)
    assert scene.texts == TEXTS
    assert engine.checkpoint() is Sentinel.SHARD_END


def test_a_shard_ends_only_when_its_rows_are_kept(scene: Scene, engine: Engine) -> None:
    scene.consumer = lake
    scene.put("a")
    scene.split()
    scene.put("b")
    engine.start()
    scene.run(TAKE_OVER)
    assert engine.checkpoint() is Sentinel.SHARD_END
    assert scene.texts[:1] == ["a"]


def test_a_merged_shard_begins_when_both_parents_are_done(scene: Scene, engine: Engine) -> None:
    low, high = key_of_half(below=True), key_of_half(below=False)
    scene.split()
    scene.put("low-1", "low-2", key=low)
    scene.put("high-1", "high-2", key=high)
    scene.merge(SECOND, THIRD)
    scene.put("low-3", key=low)
    scene.put("high-3", key=high)
    scene.before = refusing("high-2", times=5)
    engine.start()
    scene.run(120)
    assert scene.nothing_lost()
    assert scene.in_order()
    assert scene.repeats == 0
    assert {effect.shard_id for effect in scene.effects if effect.text.endswith("3")} == {FOURTH}


def test_resharding_while_it_reads_keeps_the_order(scene: Scene, engine: Engine) -> None:
    engine.start()
    for number, text in enumerate(TEXTS):
        for key in ("order-1", "order-2", "order-3"):
            scene.put(f"{key} {text}", key=key)
        if number == 8:
            scene.split()
        if number == 14:
            scene.merge(SECOND, THIRD)
        scene.run(3)
    scene.run(180)
    assert scene.nothing_lost()
    assert scene.in_order()
    assert scene.repeats == 0


def test_gone_at_the_end_of_a_shard_nothing_is_lost(scene: Scene, engine: Engine) -> None:
    scene.put(*TEXTS[:10])
    scene.split()
    scene.put(*TEXTS[10:])
    scene.after = once("text-09", engine.die)
    engine.start()
    another_process(scene, engine)
    scene.run(TAKE_OVER)
    assert scene.nothing_lost()
    assert scene.in_order()


def test_a_shard_that_is_gone_with_unread_records_is_told(scene: Scene, engine: Engine) -> None:
    """What effects were wanted for is lost; its children's records are not, and wait for nothing."""
    numbers = scene.put("a")
    engine.start()
    scene.run(5)
    engine.stop()
    scene.put("lost")
    scene.split()
    scene.time.advance(25 * 3600)
    scene.put("b")
    scene.happened.clear()
    engine.start()
    scene.run(TAKE_OVER)
    assert scene.all(ShardGone) == [ShardGone(FIRST, numbers[0])]
    assert scene.texts == ["a", "b"]
    assert engine.checkpoint() is Sentinel.SHARD_END


def test_a_shard_that_was_read_to_its_end_is_none_that_is_gone(scene: Scene, engine: Engine) -> None:
    scene.put("a")
    scene.split()
    engine.start()
    scene.run(TAKE_OVER)
    assert engine.checkpoint() is Sentinel.SHARD_END
    assert scene.all(ShardGone) == []
