"""A record without a partition key is read like any other, and judged by its bytes."""

from events.wire import encode
from tests.conformance.engine import Engine
from tests.conformance.kitchen import Kitchen
from tests.conformance.scene import Scene
from tests.support.builders import an_envelope, packed


def test_records_without_a_partition_key_come_in_their_place(scene: Scene, engine: Engine) -> None:
    scene.put("a")
    scene.put_without_key(b"b", b"c")
    scene.put("d")
    engine.start()
    scene.run(10)
    assert [(one.text, one.record.partition_key) for one in scene.effects] == [
        ("a", "order-1"),
        ("b", None),
        ("c", None),
        ("d", "order-1"),
    ]


def test_a_step_is_performed_for_them_or_they_are_set_apart_whole(scene: Scene, engine: Engine) -> None:
    kitchen = Kitchen(scene, keys_at_once=4)
    placed = [encode(an_envelope(order_id=order)) for order in ("a", "b", "c")]
    scene.put_without_key(placed[0], b"no event", placed[1], packed([placed[2]], "c"))
    kitchen.place("d")
    engine.start()
    scene.run(10)
    assert sorted(kitchen.tickets) == ["a", "b", "c", "d"]
    assert [(letter.payload, letter.partition_key) for letter in kitchen.letters] == [(b"no event", None)]
