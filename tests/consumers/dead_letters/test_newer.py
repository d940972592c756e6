"""Letters of newer events wait below `newer/` for a process that knows them; that one gives them again, once."""

import json
from collections.abc import Collection
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from consumers.dead_letters.addresses import address_of
from consumers.dead_letters.letters import DeadLetter
from consumers.dead_letters.newer import GivesNewerAgain
from consumers.dead_letters.stored import S3DeadLetters
from consumers.diagnostics import NewerLettersWait
from events import wire
from events.orders import OrderPlaced
from events.wire import KNOWN_EVENTS, UnknownEvent, decode, encode
from tests.support.builders import an_envelope
from tests.support.fakes.bucket import Gate
from tests.support.worlds.redrive_world import World, a_letter

V2 = ("order_placed", 2)


@pytest.fixture
def world() -> World:
    return World()


def newer(number: int, **changes: Any) -> DeadLetter:
    """As a consumer of this release sets an `order_placed` of version 2 apart."""
    order = f"order-{number}"
    fields = json.loads(encode(an_envelope(order_id=order, cause=f"key-{number}")))
    data = json.dumps(fields | {"schema_version": 2} | changes).encode()
    with pytest.raises(UnknownEvent) as raised:
        decode(data)
    return a_letter(number, order=order, data=data, attempts=1, error=raised.value)


def giving(world: World, *, knows: Collection[str], gate: Gate | None = None) -> GivesNewerAgain:
    return GivesNewerAgain(
        world.letters,
        "restaurant_notifier",
        knows,
        lambda keys: world.redrive(gate, of=keys).unreadable,
        wait=lambda _: True,
        emit=world.happened.append,
    )


def learn(monkeypatch: pytest.MonkeyPatch) -> frozenset[str]:
    decoders: Any = wire._event_decoders
    monkeypatch.setitem(decoders, V2, msgspec.json.Decoder(OrderPlaced))
    return KNOWN_EVENTS | {"order_placed.v2"}


def test_its_key_says_which_event_and_version_it_waits_for(world: World) -> None:
    world.put(newer(1), a_letter(2))
    first, second = sorted(world.letters.keys())
    assert first.startswith("restaurant_notifier/newer/order_placed.v2/orders/")
    address = address_of(first)
    assert address is not None
    assert (address.stream, address.newer, address.key) == ("orders", "order_placed.v2", first)
    assert address.record == address_of(a_letter(1).key).record  # type: ignore[union-attr]
    assert address_of(second).newer is None  # type: ignore[union-attr]


def test_a_process_that_does_not_know_it_leaves_it_alone(world: World) -> None:
    world.put(newer(1))
    before = dict(world.bucket.objects)
    giving(world, knows=KNOWN_EVENTS).give()
    assert world.bucket.objects == before
    assert world.tickets == []


def test_the_first_that_knows_it_gives_it_again_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.put(newer(1), newer(2), a_letter(3))
    knows = learn(monkeypatch)
    giving(world, knows=knows).give()
    giving(world, knows=knows).give()
    assert world.tickets == world.told == ["order-1", "order-2"]
    assert [stored.letter.partition_key for stored in world.stored()] == ["order-3"]


@pytest.mark.parametrize("at", range(1, 12))
def test_two_at_once_share_them(world: World, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    world.put(newer(1))
    knows = learn(monkeypatch)
    giving(world, knows=knows, gate=Gate(at, giving(world, knows=knows).give)).give()
    assert world.tickets == ["order-1"]
    assert world.stored() == []


@pytest.mark.parametrize("at", range(1, 12))
def test_one_that_is_bad_all_the_same_is_a_letter_like_any_other(
    world: World, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    world.put(newer(1, total="much"))
    knows = learn(monkeypatch)

    class Died(Exception):
        pass

    def die() -> None:
        raise Died

    try:
        giving(world, knows=knows, gate=Gate(at, die)).give()
    except Died:
        # Whatever broke off, it is there.
        assert world.stored()
        world.clock.advance(121)
        giving(world, knows=knows).give()
    (stored,) = world.stored()
    assert stored.letter.key == a_letter(1).key
    assert stored.letter.newer is None
    assert "order_placed" in stored.letter.error
    assert world.tickets == []


def test_what_goes_wrong_is_told_once_and_tried_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([False, False, True])
    again = GivesNewerAgain(
        world.letters,
        "restaurant_notifier",
        KNOWN_EVENTS,
        lambda _: (),
        wait=lambda _: next(times),
        emit=world.happened.append,
    )

    def refused(*_: object) -> list[str]:
        raise PermissionError("no")

    monkeypatch.setattr(S3DeadLetters, "keys", refused)
    again.run()
    (told,) = world.happened
    assert isinstance(told, NewerLettersWait)


def test_one_of_a_customer_who_was_forgotten_is_tried_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    forgotten = newer(1)
    world.put(forgotten)
    world.keys.objects.forget(["customer-1"])
    again = giving(world, knows=learn(monkeypatch))
    for _ in range(3):
        again.give()
    assert world.redrives == 1
    assert world.letters.keys() == [forgotten.key]
    # What is dropped and brought back is another chance.
    assert list(world.drops().drop([forgotten.key], "forgotten"))
    again.give()
    assert list(world.drops().restore([forgotten.key]))
    again.give()
    assert world.redrives == 2


def test_a_letter_that_failed_holds_up_none_that_comes_later(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process gives again for as long as it lives, and what failed is somebody else's to mend."""
    bad, later = newer(1, total="much"), replace(newer(2), partition_key="order-1")
    knows, way = learn(monkeypatch), world.way()
    again = GivesNewerAgain(
        world.letters,
        "restaurant_notifier",
        knows,
        lambda keys: world.redrive(of=keys, way=way).unreadable,
        wait=lambda _: True,
        emit=world.happened.append,
    )
    world.put(bad)
    again.give()
    world.put(later)
    again.give()
    assert world.tickets == ["order-2"]
