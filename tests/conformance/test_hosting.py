"""Two consumers in one process: nothing is lost or doubled for either, whatever becomes of the other."""

import random
from datetime import timedelta

import pytest

from analytics.rotation import RotationPolicy
from consumers.archiver import Archiver
from consumers.dead_letters.set_apart import SetsApart
from consumers.diagnostics import ShardGoesOn, ShardStopped, ShardWaits
from consumers.hosting import hosting
from consumers.processing import ProcessorFactory, ShardStop
from events.wire import encode
from foundation.kinesis.records import Sentinel, SequenceNumber, position_key
from tests.conformance.engine import Engine
from tests.conformance.hooks import AWAY, THROTTLED, failing, nothing, raises
from tests.conformance.processors import lake
from tests.conformance.scene import TAKE_OVER, TEXTS, Scene, another_process
from tests.conformance.test_archiver import Letters
from tests.support.builders import an_envelope
from tests.support.worlds.lake_world import KEYS, World


class Pair:
    """Two in the scene's process. Each has rows of its own, that wait for a file of its own."""

    def __init__(self, scene: Scene) -> None:
        # For what each is given and does; the stream and the processes are the scene's.
        self.one, self.other = Scene(), Scene()
        for side in (self.one, self.other):
            side.put_texts = scene.put_texts
            side.file_is_due = lambda: True
        scene.consumer = self._process

    @property
    def texts(self) -> tuple[list[str], list[str]]:
        return self.one.texts, self.other.texts

    def _process(self, scene: Scene) -> ProcessorFactory:
        return hosting({"one": lake(self.one), "other": lake(self.other)}, clock=scene.time.clock)


@pytest.fixture
def pair(scene: Scene) -> Pair:
    return Pair(scene)


def test_each_of_two_is_given_everything_once(scene: Scene, engine: Engine, pair: Pair) -> None:
    numbers = scene.put(*TEXTS)
    engine.start()
    scene.run(20)
    assert pair.texts == (TEXTS, TEXTS)
    assert engine.checkpoint() == SequenceNumber(numbers[-1])


def test_the_least_of_two_is_the_checkpoint(scene: Scene, engine: Engine, pair: Pair) -> None:
    numbers = scene.put(*TEXTS[:5])
    pair.one.before = failing("text-03", AWAY, times=1000)
    engine.start()
    scene.run(30)
    assert pair.other.texts == TEXTS[:5]
    assert position_key(engine.checkpoint()) < position_key(SequenceNumber(numbers[3]))
    pair.one.before = lambda _: None
    scene.run(60)
    assert pair.texts == (TEXTS[:5], TEXTS[:5])
    assert engine.checkpoint() == SequenceNumber(numbers[4])


def test_one_of_two_that_fails_keeps_nothing_from_the_other(scene: Scene, engine: Engine, pair: Pair) -> None:
    scene.put(*TEXTS)
    pair.one.before = failing("text-03", AWAY, times=1000)
    engine.start()
    scene.run(30)
    assert pair.other.texts == TEXTS
    scene.put("late")
    scene.run(30)
    assert pair.other.texts == [*TEXTS, "late"]
    assert "text-03" not in pair.one.texts
    assert {str(wait.error).partition(" fails on ")[0] for wait in scene.all(ShardWaits)} == {"one"}
    # It is at the tip all the time, and yet stands.
    assert not scene.all(ShardGoesOn)
    pair.one.before = lambda _: None
    scene.run(60)
    assert pair.texts == ([*TEXTS, "late"], [*TEXTS, "late"])
    assert scene.all(ShardGoesOn)


def test_gone_between_the_files_of_two_nothing_is_doubled_for_either(scene: Scene, engine: Engine, pair: Pair) -> None:
    scene.put(*TEXTS)
    deaths = [engine.die, engine.die]
    pair.one.after_flush = lambda: deaths.pop()() if deaths else None
    engine.start()
    another_process(scene, engine)
    another_process(scene, engine)
    assert not deaths
    assert pair.texts == (TEXTS, TEXTS)


@pytest.mark.slow
def test_gone_while_one_of_two_fails_nothing_is_lost_for_either(scene: Scene, engine: Engine, pair: Pair) -> None:
    scene.put(*TEXTS)
    pair.other.before = failing("text-02", AWAY, times=1000)
    engine.start()
    scene.run(20)
    engine.crash()
    pair.other.before = lambda _: None
    scene.put("late")
    engine.start()
    scene.run(TAKE_OVER)
    assert pair.texts == ([*TEXTS, "late"], [*TEXTS, "late"])


def test_a_shard_ends_when_both_have_all_of_it(scene: Scene, engine: Engine, pair: Pair) -> None:
    scene.put(*TEXTS[:10])
    scene.split()
    scene.put(*TEXTS[10:])
    failures: list[Exception] = [THROTTLED] * 3
    pair.one.file_is_due = pair.other.file_is_due = lambda: False
    pair.other.before_flush = lambda: raises(failures.pop())() if failures else None
    engine.start()
    scene.run(20)
    assert engine.checkpoint() is not Sentinel.SHARD_END or not failures
    pair.one.file_is_due = pair.other.file_is_due = lambda: True
    scene.run(120)
    assert engine.checkpoint() is Sentinel.SHARD_END
    assert pair.texts == (TEXTS, TEXTS)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_a_storm_over_two_doubles_and_loses_nothing_for_either(
    scene: Scene, engine: Engine, pair: Pair, seed: int
) -> None:
    """Each fails at random moments, at records and at files; the process dies thrice; the shard is split."""
    rolls, deaths = random.Random(seed), [3]

    def weather(*_: object) -> None:
        roll = rolls.random()
        if roll < 0.02 and deaths[0]:
            deaths[0] -= 1
            engine.die()
        if roll < 0.2:
            raise AWAY

    for side in (pair.one, pair.other):
        side.before = side.before_flush = weather
        side.file_is_due = lambda: rolls.random() < 0.5
    engine.start()
    for number, text in enumerate(TEXTS):
        scene.put(text, key=f"order-{number % 4}")
        if number == 9:
            scene.split()
        scene.run(7)
        if number % 6 == 5:
            engine.start()
    for side in (pair.one, pair.other):
        side.before, side.before_flush = nothing, lambda: None
        side.file_is_due = lambda: True
    engine.start()
    scene.run(4 * TAKE_OVER)
    for side in (pair.one, pair.other):
        assert sorted(side.texts) == TEXTS
        assert side.in_order()


@pytest.mark.slow
def test_one_of_two_that_refuses_to_go_on_is_told(scene: Scene, engine: Engine, pair: Pair) -> None:
    scene.put(*TEXTS)
    pair.one.before = failing("text-02", ShardStop("it contradicts itself"), times=1)
    engine.start()
    scene.run(30)
    told = scene.all(ShardStopped)
    assert told
    assert "one refuses to go on with " in str(told[0].error)
    assert "it contradicts itself" in str(told[0].error)
    assert "text-02" in pair.other.texts


@pytest.mark.slow
def test_a_real_archiver_whose_lake_is_away_keeps_nothing_from_the_other(scene: Scene, engine: Engine) -> None:
    world, beside = World(clock=scene.time), Scene()
    beside.file_is_due = lambda: True

    def process(scene: Scene) -> ProcessorFactory:
        sink = world.sink(policy=RotationPolicy(rows=1, age=timedelta(0)))
        apart = SetsApart("archiver", Letters(), clock=scene.time.clock, emit=scene.happened.append)
        factories: dict[str, ProcessorFactory] = {
            "archiver": lambda assignment: Archiver(
                assignment, sink=sink, keys=KEYS, apart=apart, clock=scene.time.clock
            ),
            "beside": lake(beside),
        }
        return hosting(factories, clock=scene.time.clock)

    scene.consumer = process
    data = [encode(an_envelope(cause=cause)) for cause in "abcdef"]
    scene.put_data(*data[:4])
    world.bucket.fail("put_object", "SlowDown", times=20)
    engine.start()
    scene.run(15)
    assert [effect.record.data for effect in beside.effects] == data[:4]
    assert world.archived() == []
    scene.run(900)
    scene.put_data(*data[4:])
    scene.run(60)
    numbers = [int(record["SequenceNumber"]) for record in scene.kinesis.records()]
    assert world.archived() == numbers
    assert [effect.record.data for effect in beside.effects] == data
    assert engine.checkpoint() == SequenceNumber(str(numbers[-1]))
