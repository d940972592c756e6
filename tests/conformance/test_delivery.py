"""Everything comes, whole, once and in order."""

import pytest

from foundation.kinesis.records import SequenceNumber
from tests.conformance.engine import Engine
from tests.conformance.hooks import refusing
from tests.conformance.scene import BATCH_RECORDS, STREAM, TAKE_OVER, TEXTS, Scene


def test_everything_comes_once_and_in_order(scene: Scene, engine: Engine) -> None:
    numbers = scene.put(*TEXTS)
    engine.start()
    scene.run(20)
    assert scene.texts == TEXTS
    assert engine.checkpoint() == SequenceNumber(numbers[-1])


def test_what_comes_later_comes_too(scene: Scene, engine: Engine) -> None:
    scene.put("a")
    engine.start()
    scene.run(10)
    scene.put("b")
    scene.run(10)
    assert scene.texts == ["a", "b"]


@pytest.mark.slow
def test_keys_of_several_shards_keep_their_order(scene: Scene, engine: Engine) -> None:
    scene.split()
    for text in TEXTS:
        for key in ("order-1", "order-2", "order-3", "order-4"):
            scene.put(f"{key} {text}", key=key)
    engine.start()
    scene.run(60)
    assert len({effect.shard_id for effect in scene.effects}) == 2
    assert sorted(scene.texts) == sorted(text for _, text in scene.put_texts)
    assert scene.in_order()


def test_a_record_comes_whole(scene: Scene, engine: Engine) -> None:
    (number,) = scene.put("a", key="order-7")
    engine.start()
    scene.run(10)
    (effect,) = scene.effects
    record = effect.record
    assert (record.number, record.sub, record.partition_key, record.data) == (number, 0, "order-7", b"a")
    assert record.arrived_at == scene.kinesis.records()[0]["ApproximateArrivalTimestamp"]


def test_padded_numbers_are_handed_on_as_they_are(scene: Scene, engine: Engine) -> None:
    scene.kinesis.streams[STREAM]._number_width = 60
    numbers = scene.put("a", "b")
    scene.before = refusing("b")
    engine.start()
    scene.run(20)
    assert scene.texts == ["a", "b"]
    assert str(engine.checkpoint()) == numbers[-1]


def test_no_batch_is_larger_than_asked(scene: Scene, engine: Engine) -> None:
    scene.put(*TEXTS)
    engine.start()
    scene.run(20)
    assert max(len(batch.records) for batch in scene.batches) == BATCH_RECORDS


def test_reads_that_fail_lose_nothing(scene: Scene, engine: Engine) -> None:
    scene.put(*TEXTS)
    scene.kinesis.fail("get_records", "InternalFailure", times=3)
    scene.kinesis.fail("get_shard_iterator", "ProvisionedThroughputExceededException", times=2)
    engine.start()
    scene.run(TAKE_OVER)
    assert scene.texts == TEXTS


@pytest.mark.slow
def test_an_idle_stretch_loses_nothing(scene: Scene, engine: Engine) -> None:
    engine.start()
    scene.run(60)
    scene.put("a")
    scene.run(10)
    assert scene.texts == ["a"]
