"""All of it at once."""

import random

import pytest

from foundation.kinesis.records import Record
from tests.conformance.engine import Engine
from tests.conformance.hooks import THROTTLED, Refused
from tests.conformance.scene import Scene


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_a_storm_loses_nothing(scene: Scene, engine: Engine, seed: int) -> None:
    """Failures, deaths and a split, at random moments."""
    rolls = random.Random(seed)
    keys = [f"order-{number}" for number in range(5)]
    deaths = [3]

    def weather(_: Record) -> None:
        roll = rolls.random()
        if roll < 0.02 and deaths[0]:
            deaths[0] -= 1
            engine.die()
        if roll < 0.15:
            raise Refused
        if roll < 0.20:
            raise THROTTLED

    scene.before = weather
    engine.start()
    for number in range(30):
        if number == 15:
            scene.split()
        if number % 10 == 9:
            engine.start()
        key = rolls.choice(keys)
        texts = [f"{key} {number}-{each}" for each in range(rolls.randint(1, 4))]
        scene.put_aggregate(*texts, key=key) if rolls.random() < 0.5 else scene.put(*texts, key=key)
        scene.run(rolls.random() * 5)
    scene.before = lambda _: None
    engine.start()
    scene.run(300)
    assert scene.nothing_lost()
    assert scene.in_order()
