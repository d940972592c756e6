"""Records that nobody can process are set apart; bad deployments stop."""

import pytest

from consumers.diagnostics import ShardStopped
from consumers.processing import ShardStop, Standstill, Unprocessable
from foundation.kinesis.records import SequenceNumber
from tests.conformance.engine import Engine
from tests.conformance.hooks import AWAY, THROTTLED, UNLISTED, failing, refusing
from tests.conformance.kitchen import Kitchen
from tests.conformance.scene import TAKE_OVER, Scene


def test_an_unprocessable_record_is_set_apart_at_once(scene: Scene, engine: Engine) -> None:
    kitchen = Kitchen(scene)
    kitchen.place("a", "b", "c")
    kitchen.errors["b"] = [Unprocessable("SNS refuses the ticket")]
    engine.start()
    scene.run(10)
    assert kitchen.tickets == ["a", "c"]
    assert [letter.attempts for letter in kitchen.letters] == [1]


def test_unreadable_bytes_are_set_apart_whole(scene: Scene, engine: Engine) -> None:
    kitchen = Kitchen(scene)
    kitchen.place("a")
    scene.put_data(b"no event")
    kitchen.place("b")
    engine.start()
    scene.run(10)
    assert kitchen.tickets == ["a", "b"]
    assert [letter.payload for letter in kitchen.letters] == [b"no event"]


@pytest.mark.slow
def test_a_poison_record_is_set_apart_after_its_attempts(scene: Scene, engine: Engine) -> None:
    kitchen = Kitchen(scene)
    kitchen.place("a", "b", "c")
    kitchen.errors["b"] = [ValueError("a bug")] * 1000
    engine.start()
    scene.run(200)
    assert kitchen.tickets == ["a", "c"]
    assert [letter.attempts for letter in kitchen.letters] == [5]


@pytest.mark.slow
def test_a_poison_record_inside_an_aggregate_alone_is_set_apart(scene: Scene, engine: Engine) -> None:
    kitchen = Kitchen(scene)
    kitchen.place_together("a", "b", "c", "d")
    kitchen.errors["b"] = [ValueError("a bug")] * 1000
    engine.start()
    scene.run(200)
    assert kitchen.tickets == ["a", "c", "d"]
    assert [letter.sub_sequence_number for letter in kitchen.letters] == [1]


@pytest.mark.slow
def test_several_keys_at_once_keep_their_order(scene: Scene, engine: Engine) -> None:
    kitchen = Kitchen(scene, keys_at_once=4)
    orders = [f"order-{number}" for number in range(12)]
    kitchen.place(*orders)
    kitchen.errors["order-7"] = [AWAY] * 3
    engine.start()
    scene.run(120)
    assert sorted(kitchen.tickets) == sorted(orders)


@pytest.mark.slow
def test_garbage_in_any_number_is_set_apart_and_stops_nothing(scene: Scene, engine: Engine) -> None:
    kitchen = Kitchen(scene)
    kitchen.place("a")
    scene.put_data(*(f"no event {number}".encode() for number in range(200)))
    kitchen.place("b")
    engine.start()
    scene.run(300)
    assert kitchen.tickets == ["a", "b"]
    assert len(kitchen.letters) == 200
    assert not scene.all(ShardStopped)


@pytest.mark.slow
def test_a_refusal_that_is_on_no_list_is_suspected_when_it_works_for_others(scene: Scene, engine: Engine) -> None:
    kitchen = Kitchen(scene)
    refused = [f"refused-{number}" for number in range(6)]
    kitchen.errors = {order: [UNLISTED] * 1000 for order in refused}
    engine.start()
    kitchen.place_apart("order-0", *refused)
    for number in range(1, 150):
        kitchen.place_apart(f"order-{number}")
        scene.run(2)
    assert sorted(kitchen.tickets) == sorted(f"order-{number}" for number in range(150))
    assert sorted(str(letter.partition_key) for letter in kitchen.letters) == sorted(refused)
    assert {letter.kind for letter in kitchen.letters} == {"Suspected"}


@pytest.mark.slow
def test_a_bad_deployment_sets_nothing_apart_and_goes_on_when_another_record_works(
    scene: Scene, engine: Engine
) -> None:
    kitchen = Kitchen(scene)
    orders = [f"order-{number}" for number in range(15)]
    kitchen.errors = {order: [KeyError("menu")] * 1000 for order in orders}
    kitchen.place_apart(*orders)
    engine.start()
    scene.run(600)
    assert not kitchen.tickets
    assert not kitchen.letters
    assert isinstance(scene.all(ShardStopped)[0].error, Standstill)
    kitchen.errors.clear()
    scene.run(120)
    assert sorted(kitchen.tickets) == sorted(orders)
    assert kitchen.letters == []


@pytest.mark.slow
def test_while_no_outcome_can_be_stored_no_effect_is_repeated_and_none_begins(scene: Scene, engine: Engine) -> None:
    kitchen = Kitchen(scene, keys_at_once=4)
    orders = [f"order-{number}" for number in range(30)]
    kitchen.refuses_outcomes = THROTTLED
    kitchen.place_apart(*orders)
    engine.start()
    scene.run(600)
    assert kitchen.tickets
    assert kitchen.repeated == []
    assert len(kitchen.tickets) <= 4
    kitchen.refuses_outcomes = None
    scene.run(120)
    assert sorted(kitchen.tickets) == sorted(orders)


def test_a_deliberate_stop_checkpoints_what_was_done(scene: Scene, engine: Engine) -> None:
    numbers = scene.put("a", "b", "c")
    scene.before = refusing("b", times=1000, because=ShardStop("bad deployment"))
    engine.start()
    scene.run(30)
    assert set(scene.texts) == {"a"}
    assert engine.checkpoint() == SequenceNumber(numbers[0])
    assert isinstance(scene.all(ShardStopped)[0].error, ShardStop)


def test_after_a_deliberate_stop_a_better_deployment_goes_on(scene: Scene, engine: Engine) -> None:
    scene.put("a", "b", "c")
    scene.before = failing("b", ShardStop("bad deployment"), times=1000)
    engine.start()
    scene.run(30)
    engine.crash()
    scene.before = lambda _: None
    engine.start()
    scene.run(TAKE_OVER)
    assert scene.nothing_lost()
    assert scene.in_order()
