"""An aggregate comes as its records; what fails inside one skips nothing."""

import pytest

from consumers.diagnostics import AggregateDropped
from foundation.kinesis.records import SequenceNumber
from tests.conformance.engine import Engine
from tests.conformance.hooks import AWAY, refusing
from tests.conformance.kitchen import Kitchen
from tests.conformance.scene import STREAM, TAKE_OVER, Scene, key_of_half
from tests.support.builders import a_message, an_aggregate_of, packed


def test_an_aggregate_comes_as_its_records(scene: Scene, engine: Engine) -> None:
    number = scene.put_aggregate("a", "b", "c", key="order-7")
    engine.start()
    scene.run(10)
    assert [(one.record.sub, one.text, one.record.partition_key) for one in scene.effects] == [
        (0, "a", "order-7"),
        (1, "b", "order-7"),
        (2, "c", "order-7"),
    ]
    assert {one.record.number for one in scene.effects} == {number}


@pytest.mark.parametrize("outer_key", ["order-1", "a"])
def test_an_aggregate_that_nobody_can_open_comes_as_it_is(scene: Scene, engine: Engine, outer_key: str) -> None:
    damaged = packed([b"a", b"b"], "order-1")[:-1] + b"?"
    no_text = an_aggregate_of(a_message(key=b"\xff\xfe"))
    scene.put_data(b"before", damaged, no_text, b"behind", key=outer_key)
    engine.start()
    scene.run(10)
    assert [effect.record.data for effect in scene.effects] == [b"before", damaged, no_text, b"behind"]


def test_a_stray_aggregate_of_the_kpl_is_left_out_whole(scene: Scene, engine: Engine) -> None:
    scene.split()
    scene.kinesis.put_record(StreamName=STREAM, Data=packed([b"a"], key_of_half(below=True)), PartitionKey="a")
    stray = packed([b"b", b"c"], key_of_half(below=False))
    scene.kinesis.put_record(StreamName=STREAM, Data=stray, PartitionKey="a", ExplicitHashKey="0")
    scene.kinesis.put_record(StreamName=STREAM, Data=b"d", PartitionKey="d", ExplicitHashKey="0")
    engine.start()
    scene.run(20)
    assert scene.texts[-1] == "d"
    assert not {"b", "c"} & set(scene.texts)


def test_a_stray_aggregate_of_another_writer_is_delivered(scene: Scene, engine: Engine) -> None:
    scene.split()
    stray = packed([b"b", b"c"], key_of_half(below=False))
    scene.kinesis.put_record(StreamName=STREAM, Data=stray, PartitionKey="mine", ExplicitHashKey="0")
    engine.start()
    scene.run(20)
    assert scene.texts == ["b", "c"]
    assert not scene.all(AggregateDropped)


def test_a_failure_inside_an_aggregate_skips_nothing(scene: Scene, engine: Engine) -> None:
    scene.put("first")
    scene.put_aggregate("a", "b", "c", "d")
    scene.put("last")
    scene.before = refusing("c", times=3)
    engine.start()
    scene.run(60)
    assert scene.nothing_lost()
    assert scene.in_order()


@pytest.mark.slow
def test_a_checkpoint_lies_inside_an_aggregate(scene: Scene, engine: Engine) -> None:
    number = scene.put_aggregate("a", "b", "c", "d")
    scene.before = refusing("c", times=9)
    engine.start()
    scene.run(10)
    assert engine.checkpoint() == SequenceNumber(number, 1)
    engine.crash()
    scene.before = lambda _: None
    engine.start()
    scene.run(TAKE_OVER)
    assert scene.texts == ["a", "b", "c", "d"]


@pytest.mark.slow
def test_inside_an_aggregate_no_effect_is_repeated(scene: Scene, engine: Engine) -> None:
    kitchen = Kitchen(scene)
    kitchen.place_together("a", "b", "c", "d")
    kitchen.errors["c"] = [AWAY] * 9
    engine.start()
    scene.run(300)
    assert kitchen.tickets == ["a", "b", "c", "d"]
