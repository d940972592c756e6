"""The corpus through every engine: each record has one end, whatever its bytes."""

from typing import Any

import pytest

from consumers.archiver import Archiver
from consumers.dead_letters.letters import DeadLetter
from consumers.dead_letters.set_apart import SetsApart
from consumers.diagnostics import ShardStopped
from consumers.processing import ProcessorFactory
from events.wire import encode
from foundation.kinesis.deaggregation import unpack
from foundation.kinesis.records import Record
from tests.conformance.conftest import MAKES
from tests.conformance.differences import ENGINES
from tests.conformance.engine import Engine
from tests.conformance.kitchen import Kitchen
from tests.conformance.scene import Scene
from tests.conformance.test_archiver import EACH_BATCH
from tests.support.builders import an_envelope
from tests.support.corpus import GARBAGE, ODD, numbered
from tests.support.worlds.lake_world import KEYS, World

pytestmark = pytest.mark.slow


def as_delivered(data: bytes) -> list[bytes]:
    aggregate = unpack(Record("1", "order-1", data, 0))
    return [data] if aggregate is None else [record.data for record in aggregate.records]


BAD = [data for garbage in GARBAGE.values() for data in as_delivered(garbage)]
MORE = [numbered(data, number) for number, data in enumerate(ODD.values())]


def put_all(scene: Scene) -> int:
    """All of the corpus with and without a partition key, each beside an event. How many records that is."""
    records = 0
    for number, data in enumerate([*GARBAGE.values(), *MORE]):
        put = scene.put_without_key if number % 2 else scene.put_data
        put(encode(an_envelope(order_id=f"good-{number}", cause=f"key-{number}")), data)
        records += 1 + len(as_delivered(data))
    return records


def test_a_step_passes_all_of_it(scene: Scene, engine: Engine) -> None:
    kitchen = Kitchen(scene, keys_at_once=4)
    put_all(scene)
    engine.start()
    scene.run(60)
    assert sorted(letter.payload for letter in kitchen.letters) == sorted(BAD)
    honest = {f"good-{number}" for number in range(len(GARBAGE) + len(MORE))}
    assert set(kitchen.tickets) == honest | {"order-1"}
    assert len(kitchen.tickets) == len(honest) + len(MORE)
    assert not scene.all(ShardStopped)


@pytest.mark.parametrize("name", ENGINES)
def test_every_record_is_a_row_or_a_letter(name: str) -> None:
    scene = Scene()
    world, letters = World(clock=scene.time), list[DeadLetter]()

    class Letters:
        put: Any = staticmethod(letters.append)

    def process(scene: Scene) -> ProcessorFactory:
        sink = world.sink(policy=EACH_BATCH)
        apart = SetsApart("archiver", Letters(), clock=scene.time.clock, emit=scene.happened.append)
        return lambda assignment: Archiver(
            assignment,
            sink=sink,
            keys=KEYS,
            apart=apart,
            clock=scene.time.clock,
        )

    scene.consumer = process
    records = put_all(scene)
    engine = MAKES[name](scene)
    engine.start()
    scene.run(90)
    assert not scene.all(ShardStopped)
    assert sorted(letter.payload for letter in letters) == sorted(BAD)
    assert len(world.visible()) + len(letters) == records
    engine.end()
