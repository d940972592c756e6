"""Dropping: whole, with a reason, beside redrives; whatever breaks off, a letter is in one place at least."""

from contextlib import suppress
from dataclasses import replace

import pytest

from consumers.dead_letters.addresses import DROPPED, letter_place
from consumers.dead_letters.claims import CLAIMED_FOR
from consumers.dead_letters.dropping import Ending
from consumers.dead_letters.forms import NoLetter
from consumers.dead_letters.stored import StoredLetter
from consumers.redrive.redrive import Fate
from consumers.specs import CONSUMERS
from foundation.kinesis.records import SequenceNumber
from tests.support.fakes.bucket import Gate
from tests.support.worlds.lake_world import Crash
from tests.support.worlds.redrive_world import SHARD, World, a_letter

KEY = a_letter(1).key
NOTE = "archiver/note"


@pytest.fixture
def world() -> World:
    return World()


def endings(world: World, keys: list[str], gate: Gate | None = None) -> list[Ending]:
    return [ending for _, ending, _ in world.drops(gate).drop(keys, "garbage")]


def dropped(world: World, key: str = KEY) -> StoredLetter | NoLetter | None:
    return world.letters.look(DROPPED + key)


def test_a_dropped_letter_is_whole_with_its_reason_and_its_time_and_no_redrive_finds_it(world: World) -> None:
    world.put(a_letter(1), a_letter(2))
    assert endings(world, [KEY]) == [Ending.DROPPED]
    assert world.left().keys() == {"order-2"}
    found = dropped(world)
    assert isinstance(found, StoredLetter)
    assert replace(found.letter, claim=None) == a_letter(1)
    assert found.dropped is not None
    assert (found.dropped.reason, found.dropped.at) == ("garbage", world.clock.now().isoformat())
    assert world.redrive().counts == {Fate.DONE: 1}
    assert world.tickets == ["order-2"]


def test_dropping_again_finds_nothing_and_changes_nothing(world: World) -> None:
    world.put(a_letter(1))
    assert endings(world, [KEY]) == [Ending.DROPPED]
    before = dict(world.bucket.objects)
    assert endings(world, [KEY]) == [Ending.GONE]
    assert world.bucket.objects == before


def test_a_restored_letter_is_as_it_was_and_free(world: World) -> None:
    world.put(a_letter(1))
    world.bucket.objects[NOTE] = b"\xff{"
    before = world.letters.keys()
    endings(world, [KEY, NOTE])
    assert world.letters.keys() == []
    assert [ending for _, ending, _ in world.drops().restore([KEY, NOTE, "nothing"])] == [
        Ending.RESTORED,
        Ending.RESTORED,
        Ending.GONE,
    ]
    assert world.stored()[0].letter == a_letter(1)
    assert world.letters.keys() == before
    assert world.letters.keys(DROPPED) == []
    assert world.redrive(of=[KEY]).ok


def test_a_letter_that_is_there_again_is_not_written_over_by_a_restored_one(world: World) -> None:
    world.put(a_letter(1))
    endings(world, [KEY])
    world.put(a_letter(1, attempts=7))
    assert [ending for _, ending, _ in world.drops().restore([KEY])] == [Ending.RESTORED]
    assert world.stored()[0].letter.attempts == 7
    assert world.letters.keys(DROPPED) == []


def test_what_a_redrive_has_in_hand_is_not_dropped(world: World) -> None:
    world.put(a_letter(1))

    ended: list[Ending] = []

    def drop() -> None:
        ended.extend(endings(world, [KEY]))

    assert world.redrive(Gate(3, drop)).ok  # read, claimed
    assert ended == [Ending.BUSY]
    assert dropped(world) is None
    assert world.tickets == ["order-1"]


def calls_of_a_drop() -> range:
    world, gate = World(), Gate()
    world.put(a_letter(1))
    endings(world, [KEY], gate)
    return range(1, gate.calls + 1)


CALLS = calls_of_a_drop()


@pytest.mark.parametrize("applied", [False, True])
@pytest.mark.parametrize("at", CALLS)
def test_killed_at_any_call_the_letter_is_in_one_place_and_the_next_drop_ends_it(
    world: World, at: int, applied: bool
) -> None:
    def die() -> None:
        raise Crash

    world.put(a_letter(1))
    with suppress(Crash):
        endings(world, [KEY], Gate(at, die, applied=applied))
    places = [found for found in (world.letters.look(KEY), dropped(world)) if isinstance(found, StoredLetter)]
    assert {replace(found.letter, claim=None) for found in places} == {a_letter(1)}
    world.clock.advance(CLAIMED_FOR.total_seconds())
    endings(world, [KEY])
    assert world.letters.keys() == []
    assert isinstance(dropped(world), StoredLetter)


@pytest.mark.parametrize("applied", [False, True])
@pytest.mark.parametrize("at", CALLS)
def test_a_redrive_in_the_middle_of_a_drop_leaves_each_letter_one_end(world: World, at: int, applied: bool) -> None:
    def redrive() -> None:
        world.redrive()

    world.put(a_letter(1))
    endings(world, [KEY], Gate(at, redrive, applied=applied))
    assert world.letters.keys() == []
    assert (world.tickets == ["order-1"]) is (dropped(world) is None)


def test_a_redrive_that_goes_well_ends_what_was_half_dropped(world: World) -> None:
    def die() -> None:
        raise Crash

    world.put(a_letter(1))
    with suppress(Crash):
        endings(world, [KEY], Gate(max(CALLS), die))
    assert isinstance(dropped(world), StoredLetter)
    world.clock.advance(CLAIMED_FOR.total_seconds())
    assert world.redrive().ok
    assert dropped(world) is None


def test_what_may_not_be_read_or_copied_stays_and_is_told(world: World) -> None:
    world.put(a_letter(1), a_letter(2))
    world.bucket.fail("copy_object", "AccessDenied")
    ((_, ending, why),) = world.drops().drop([KEY], "")
    assert (ending, world.letters.keys()) == (Ending.LEFT, [KEY, a_letter(2).key])
    assert "fix: allow" in str(why)
    world.bucket.fail("get_object", "AccessDenied")
    ((_, ending, why),) = world.drops().drop([a_letter(2).key], "")
    assert ending is Ending.LEFT
    assert "may not be read (AccessDenied). fix: allow" in str(why)


def test_asked_to_stop_it_drops_no_more(world: World) -> None:
    world.put(a_letter(1))
    world.clock.stopping = True
    assert endings(world, [KEY]) == [Ending.NOT_TRIED]
    assert world.letters.keys() == [KEY]


def test_no_consumer_is_called_as_the_dropped_letters_are() -> None:
    assert DROPPED.rstrip("/") not in CONSUMERS


@pytest.mark.parametrize(
    "key", ["", "a", "archiver/note", "a/b/c/x-y.json", "a/b/c/1-2", "a/b/1-2.json", "/b/c/1-2.json"]
)
def test_what_is_no_letters_key_has_no_place(key: str) -> None:
    assert letter_place(key) is None
    assert letter_place(DROPPED + key) is None


def test_a_letters_key_says_its_place_dropped_or_not() -> None:
    assert letter_place(KEY) == letter_place(DROPPED + KEY) == (SHARD, SequenceNumber("1"))
