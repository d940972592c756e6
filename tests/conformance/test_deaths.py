"""A process is gone, at each step: nothing lost, repeats bounded."""

import pytest

from tests.conformance.engine import Engine
from tests.conformance.hooks import once
from tests.conformance.kitchen import Kitchen
from tests.conformance.scene import TAKE_OVER, TEXTS, Scene, another_process


def test_gone_before_an_effect_nothing_is_lost(scene: Scene, engine: Engine) -> None:
    scene.put(*TEXTS)
    scene.before = once("text-05", engine.die)
    engine.start()
    another_process(scene, engine)
    assert scene.nothing_lost()
    assert scene.in_order()
    assert scene.repeats <= engine.most_repeated


def test_gone_after_an_effect_it_is_repeated_and_nothing_is_lost(scene: Scene, engine: Engine) -> None:
    scene.put(*TEXTS)
    scene.after = once("text-05", engine.die)
    engine.start()
    another_process(scene, engine)
    assert scene.nothing_lost()
    assert scene.in_order()
    assert scene.texts.count("text-05") == 2


def test_gone_between_batches_nothing_is_lost(scene: Scene, engine: Engine) -> None:
    scene.put(*TEXTS)
    engine.start()
    scene.run(20)
    engine.crash()
    scene.put("late")
    engine.start()
    scene.run(TAKE_OVER)
    assert scene.texts == [*TEXTS, "late"]


def test_gone_inside_an_aggregate_nothing_is_lost(scene: Scene, engine: Engine) -> None:
    scene.put_aggregate(*TEXTS)
    scene.after = once("text-13", engine.die)
    engine.start()
    another_process(scene, engine)
    assert scene.nothing_lost()
    assert scene.in_order()


@pytest.mark.slow
def test_gone_again_and_again_nothing_is_lost(scene: Scene, engine: Engine) -> None:
    scene.put(*TEXTS)
    engine.start()
    for text in ("text-02", "text-07", "text-07", "text-19"):
        scene.after = once(text, engine.die)
        another_process(scene, engine)
    assert scene.nothing_lost()
    assert scene.in_order()


def test_gone_while_opening_nothing_is_lost(scene: Scene, engine: Engine) -> None:
    scene.put(*TEXTS)
    deaths = [engine.die]
    scene.before_opening = lambda: deaths.pop()() if deaths else None
    engine.start()
    another_process(scene, engine)
    assert scene.texts == TEXTS


def test_gone_between_effect_and_memory_one_effect_is_repeated(scene: Scene, engine: Engine) -> None:
    kitchen = Kitchen(scene)
    kitchen.place("a", "b", "c")
    kitchen.die_after["b"] = engine.die
    engine.start()
    another_process(scene, engine)
    assert kitchen.repeated == ["b"]
    assert set(kitchen.told) == {"a", "b", "c"}


def test_a_lost_answer_repeats_no_more_than_a_batch(scene: Scene, engine: Engine) -> None:
    scene.put("a", "b", "c")
    engine.start()
    engine.lose_answer()
    scene.run(TAKE_OVER)
    assert scene.nothing_lost()
    assert scene.in_order()
    assert scene.repeats <= 3


@pytest.mark.slow
def test_two_processes_deliver_nothing_twice(scene: Scene, engine: Engine) -> None:
    scene.split()
    for number, text in enumerate(TEXTS):
        scene.put(text, key=f"order-{number}")
    engine.start()
    engine.start()
    scene.run(TAKE_OVER)
    assert sorted(scene.texts) == TEXTS
