"""Redriving: canaries first, each order in its order, and whatever breaks off no letter lost and no effect repeated."""

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from botocore.exceptions import EndpointConnectionError

from consumers.dead_letters.claims import CLAIMED_FOR
from consumers.dead_letters.forms import ForgottenLetter, NoLetter
from consumers.dead_letters.letters import DeadLetter
from consumers.dead_letters.stored import StoredLetter
from consumers.diagnostics import LetterRedriven
from consumers.processing import ShardStop
from consumers.redrive.redrive import CANARIES, CanaryFailed, Fate, Given
from events.wire import encode
from tests.support.builders import an_envelope
from tests.support.fakes.bucket import Gate
from tests.support.worlds.lake_world import Crash
from tests.support.worlds.redrive_world import SHARD, World, a_letter

AWAY = EndpointConnectionError(endpoint_url="http://sns")


@pytest.fixture
def world() -> World:
    return World()


@dataclass
class Scripted:
    """A way into a consumer that remembers what it was given, and answers as scripted."""

    together = 50
    given: list[list[str | None]] = field(default_factory=list)
    failing: frozenset[str] = frozenset()
    error: Exception | None = None

    def done_before(self, _letters: Sequence[DeadLetter]) -> frozenset[str]:
        return frozenset()

    def begin(self) -> None:
        pass

    def give(self, letters: Sequence[DeadLetter]) -> Given:
        self.given.append([letter.partition_key for letter in letters])
        if self.error is not None:
            raise self.error
        failed = {letter.key: letter for letter in letters if letter.partition_key in self.failing}
        return Given(frozenset(letter.key for letter in letters) - failed.keys(), failed)


def test_a_letter_that_goes_well_is_removed_after_its_effect(world: World) -> None:
    world.put(a_letter(1), a_letter(2))
    summary = world.redrive()
    assert summary.counts == {Fate.DONE: 2}
    assert summary.ok
    assert world.tickets == world.told == ["order-1", "order-2"]
    assert world.stored() == []


def test_a_redrive_that_is_repeated_has_nothing_left_to_do(world: World) -> None:
    world.put(a_letter(1))
    before = world.letters.keys()
    world.redrive()
    # As from a listing that is old by now.
    assert world.redrive(of=before).counts == {Fate.GONE: 1}
    assert world.tickets == ["order-1"]


def test_an_effect_that_is_remembered_does_not_happen_again(world: World) -> None:
    world.put(a_letter(1))
    world.redrive()
    world.put(a_letter(1))  # a consumer that crashed wrote it again
    assert world.redrive().ok
    assert world.tickets == ["order-1"]


def test_a_letter_that_fails_again_stays_whole_with_the_new_error_and_one_more_attempt(world: World) -> None:
    world.put(a_letter(1, attempts=5))
    world.errors["order-1"] = KeyError("the kitchen is closed")
    world.clock.advance(3600)
    summary = world.redrive()
    assert summary.counts == {Fate.FAILED: 1}
    assert not summary.ok
    letter = world.left()["order-1"]
    assert (letter.attempts, letter.error) == (6, "KeyError: 'the kitchen is closed'")
    assert letter.failed_at == world.clock.now()
    assert letter.claim is None
    assert letter.stack_hash != a_letter(1).stack_hash
    assert letter.record == a_letter(1).record
    assert (summary.letters[0].key, summary.letters[0].why) == (letter.key, letter.error)


def test_ten_canaries_go_first_and_the_rest_when_all_went_well(world: World) -> None:
    world.put(*(a_letter(number) for number in range(1, 26)))
    way = Scripted()
    assert world.redrive(way=way).counts == {Fate.DONE: 25}
    assert [len(given) for given in way.given] == [CANARIES, 15]
    assert way.given[0] == [f"order-{number}" for number in range(1, 11)]


def test_one_canary_that_fails_keeps_the_rest_as_they_are(world: World) -> None:
    world.put(*(a_letter(number) for number in range(1, 26)))
    before = dict(world.bucket.objects)
    way = Scripted(failing=frozenset({"order-10"}))
    summary = world.redrive(way=way)
    assert summary.counts == {Fate.DONE: 9, Fate.FAILED: 1, Fate.NOT_TRIED: 15}
    assert isinstance(summary.stopped_by, CanaryFailed)
    assert "fix:" in str(summary.stopped_by)
    assert len(way.given) == 1
    rest = {f"order-{number}" for number in range(11, 26)}
    assert rest | {"order-10"} == world.left().keys()
    assert all(world.bucket.objects[a_letter(n).key] == before[a_letter(n).key] for n in range(11, 26))


def test_after_the_canaries_a_failure_stops_nobody_else(world: World) -> None:
    world.put(*(a_letter(number) for number in range(1, 100)))
    way = Scripted(failing=frozenset({"order-11"}))
    assert world.redrive(way=way).counts == {Fate.DONE: 98, Fate.FAILED: 1}


def test_what_a_consumer_raises_is_told_and_every_letter_put_back(world: World) -> None:
    world.put(*(a_letter(number) for number in range(1, 26)))
    before = dict(world.bucket.objects)
    summary = world.redrive(way=Scripted(error=AWAY))
    assert summary.counts == {Fate.NOT_TRIED: 25}
    assert summary.stopped_by is AWAY
    assert world.bucket.objects == before


def test_the_records_of_an_order_go_in_their_order(world: World) -> None:
    numbers = [3, 1, 10, 2]
    world.put(*(a_letter(number, order="order-1") for number in numbers))
    world.redrive()
    heard = [an_envelope(order_id="order-1", cause=f"key-{number}-0").event_id for number in sorted(numbers)]
    assert list(world.outcomes) == heard


def test_what_lies_behind_a_failed_letter_of_its_order_is_held_back(world: World) -> None:
    bad = a_letter(1, order="order-1", data=b"not an event")
    later = a_letter(11, order="order-1")
    world.put(bad, a_letter(2), later)
    summary = world.redrive()
    assert summary.counts == {Fate.DONE: 1, Fate.FAILED: 1, Fate.HELD_BACK: 1}
    assert world.tickets == ["order-2"]
    (held,) = [one for one in summary.letters if one.fate is Fate.HELD_BACK]
    assert held.key == later.key
    assert held.why == "an earlier letter of its partition key failed"


def test_letters_of_an_order_that_changed_shards_go_parent_first(world: World) -> None:
    child = a_letter(9, order="order-1", shard_id="shardId-000000000000")
    parent = a_letter(2, order="order-1", shard_id="shardId-000000000007", data=b"not an event")
    world.put(child, parent)
    assert world.redrive().counts == {Fate.FAILED: 1, Fate.HELD_BACK: 1}
    assert world.tickets == []


def test_a_broken_world_is_waited_for_a_while_and_then_told(world: World) -> None:
    world.put(a_letter(1), a_letter(2))
    world.errors["order-1"] = AWAY
    summary = world.redrive()
    assert summary.counts == {Fate.NOT_TRIED: 2}
    assert summary.stopped_by is AWAY
    assert 10 < world.clock.monotonic() < 20
    assert world.left()["order-1"] == a_letter(1)
    del world.errors["order-1"]
    assert world.redrive().ok
    assert world.repeated == []


def test_a_short_outage_is_waited_out(world: World) -> None:
    world.put(a_letter(1))
    world.errors["order-1"] = AWAY
    waits = world.clock.wait

    def wait(seconds: float) -> bool:
        if world.clock.monotonic() > 3:
            world.errors.clear()
        return waits(seconds)

    world.clock.wait = wait  # type: ignore[method-assign]
    assert world.redrive().ok


def test_a_bad_deployment_stops_it(world: World) -> None:
    world.put(a_letter(1), a_letter(2, order="order-1"))
    world.errors["order-1"] = ShardStop("nothing can be published. fix: restart")
    summary = world.redrive()
    assert summary.counts == {Fate.NOT_TRIED: 2}
    assert isinstance(summary.stopped_by, ShardStop)
    assert world.left()["order-1"].attempts == 5


def test_asked_to_stop_it_tries_no_more(world: World) -> None:
    world.put(a_letter(1))
    world.clock.stopping = True
    assert world.redrive().counts == {Fate.NOT_TRIED: 1}
    assert world.tickets == []


def test_another_redrive_leaves_a_claimed_letter_alone_until_the_claim_runs_out(world: World) -> None:
    world.put(a_letter(1))

    def die() -> None:
        raise Crash

    with suppress(Crash):
        world.redrive(Gate(2, die, applied=True))  # killed behind its claim
    letter = world.left()["order-1"]
    assert letter.claim is not None
    assert letter.attempts == 6
    summary = world.redrive()
    assert summary.counts == {Fate.BUSY: 1}
    assert "120 s" in str(summary.letters[0].why)
    assert world.left()["order-1"] == letter
    world.clock.advance(CLAIMED_FOR.total_seconds())
    assert world.redrive().ok
    assert world.tickets == ["order-1"]


def test_a_letter_that_changes_before_it_is_claimed_is_left_alone(world: World) -> None:
    world.put(a_letter(1))

    def change() -> None:
        world.put(replace(a_letter(1), failed_at=a_letter(1).failed_at + timedelta(seconds=9)))

    assert world.redrive(Gate(1, change, applied=True)).counts == {Fate.BUSY: 1}
    assert world.tickets == []


def test_a_claim_that_a_retry_sent_twice_is_our_own(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.put(a_letter(1))
    put = world.bucket.put_object

    def put_twice(**parameters: Any) -> Any:
        put(**parameters)
        return put(**parameters)

    monkeypatch.setattr(world.bucket, "put_object", put_twice)
    assert world.redrive().ok
    assert world.stored() == []


def crashed_or_done(world: World, gate: Gate) -> None:
    with suppress(Crash):
        world.redrive(gate)


ORDERS = ("order-1", "order-2", "order-1", "order-3")


def three_orders() -> World:
    world = World()
    world.put(*(a_letter(number, order=order) for number, order in enumerate(ORDERS, start=1)))
    world.put(a_letter(5, order="order-4", data=b"not an event"))
    return world


def calls_of_a_redrive() -> range:
    gate = Gate()
    three_orders().redrive(gate)
    return range(1, gate.calls + 1)


CALLS = calls_of_a_redrive()


def check_all_done(world: World, *, at_most_repeated: int) -> None:
    """Everything that can be done is, once but for the stated bound, and only the bad one is left."""
    expected = sorted(ORDERS)
    extra = len(world.tickets) - len(expected)
    assert 0 <= extra <= at_most_repeated, world.tickets
    assert set(world.tickets) == set(expected)
    assert len(world.outcomes) == len(expected)
    assert world.left().keys() == {"order-4"}
    assert world.left()["order-4"].payload == b"not an event"


@pytest.mark.parametrize("applied", [False, True])
@pytest.mark.parametrize("at", CALLS)
def test_killed_at_any_call_the_next_redrive_ends_it(at: int, applied: bool) -> None:
    """The bound: the one effect that was under way, between having happened and being remembered."""

    def die() -> None:
        raise Crash

    world = three_orders()
    crashed_or_done(world, Gate(at, die, applied=applied))
    unremembered = len(world.tickets) - len(world.outcomes)
    assert unremembered in {0, 1}
    world.clock.advance(CLAIMED_FOR.total_seconds())
    world.redrive()
    check_all_done(world, at_most_repeated=unremembered)


@pytest.mark.parametrize("applied", [False, True])
@pytest.mark.parametrize("at", CALLS)
def test_two_at_once_repeat_no_effect(at: int, applied: bool) -> None:
    """Another one runs from beginning to end while the first stands at any of its calls."""
    world = three_orders()

    def another() -> None:
        world.redrive()

    world.redrive(Gate(at, another, applied=applied))
    world.redrive()
    check_all_done(world, at_most_repeated=0)


@pytest.mark.slow
def test_two_from_one_listing_repeat_no_effect() -> None:
    def another() -> None:
        world.redrive(of=listed)

    for at in CALLS:
        world = three_orders()
        listed = world.letters.keys()
        world.redrive(Gate(at, another), of=listed)
        world.redrive()
        check_all_done(world, at_most_repeated=0)


@pytest.mark.parametrize("at", CALLS)
def test_one_that_was_frozen_beyond_its_claims_loses_no_letter(at: int) -> None:
    """Two holders: an effect may repeat that stood between being looked up and being remembered, and no other."""

    world = three_orders()

    def sleep() -> None:
        world.clock.advance(CLAIMED_FOR.total_seconds())
        world.redrive()

    world.redrive(Gate(at, sleep))
    world.clock.advance(CLAIMED_FOR.total_seconds())
    world.redrive()
    check_all_done(world, at_most_repeated=len(ORDERS))


def test_each_fate_is_told_and_quotes_no_customer(world: World) -> None:
    world.put(a_letter(1), a_letter(2, data=b"not an event"))
    world.redrive()
    told = [one for one in world.happened if isinstance(one, LetterRedriven)]
    assert told == [
        LetterRedriven("restaurant_notifier", SHARD, "1", "done"),
        LetterRedriven("restaurant_notifier", SHARD, "2", "failed again"),
    ]


def test_what_was_performed_before_is_known_without_changing_anything(world: World) -> None:
    world.put(a_letter(1))
    world.redrive()
    again, unread, new = a_letter(1), a_letter(2, data=b"not an event"), a_letter(3)
    assert world.way().done_before([again, unread, new]) == {again.key}
    assert world.tickets == ["order-1"]


def test_a_letter_of_another_order_under_the_same_event_id_is_not_done_before_it_is(world: World) -> None:
    one, other = (
        a_letter(number, order=order, data=encode(msgspec.structs.replace(an_envelope(order_id=order), event_id="1")))
        for number, order in enumerate(("a", "b"))
    )
    world.put(one)
    world.redrive()
    assert world.way().done_before([one, other]) == {one.key}
    world.put(other)
    world.redrive()
    assert world.way().done_before([one, other]) == {one.key, other.key}
    assert world.tickets == ["a", "b"]


def without_key(letter: DeadLetter) -> DeadLetter:
    return replace(letter, partition_key=None)


def test_letters_of_records_without_a_partition_key_are_redriven_each_order_in_its_order(world: World) -> None:
    torn = without_key(a_letter(4, data=b"torn"))
    world.put(*(without_key(a_letter(number, order=order)) for number, order in ((1, "a"), (2, "b"), (3, "a"))), torn)
    world.errors["a"] = ValueError("no such restaurant")
    letters = [stored.letter for stored in world.stored()]
    given = world.way().give(letters)
    assert [letter.partition_key for letter in letters] == [None] * 4
    assert given.done == {without_key(a_letter(2)).key}
    assert given.failed.keys() == {a_letter(1).key, torn.key}
    assert given.held_back.keys() == {a_letter(3).key}
    assert world.tickets == ["b"]
    del world.errors["a"]
    world.redrive()
    assert world.tickets == ["b", "a", "a"]
    assert [stored.letter.payload for stored in world.stored()] == [b"torn"]


@pytest.mark.parametrize(
    ("data", "subject"),
    [
        (None, "customer-1"),
        (b'{"order_id": "order-9", torn', "order:order-9"),
        (b"torn", f"order:{a_letter(1).key}"),
    ],
    ids=["its customer's", "its order's", "its own"],
)
def test_a_letter_without_a_partition_key_is_sealed_under_a_key_that_can_be_dropped(
    world: World, data: bytes | None, subject: str
) -> None:
    world.put(without_key(a_letter(1, data=data)))
    assert len(world.stored()) == 1
    world.keys.objects.forget([subject])
    assert [type(found) for _, found in world.letters.read_all(world.letters.keys())] == [ForgottenLetter]


def test_a_letter_whose_sealed_part_says_something_else_hides_no_other(world: World) -> None:
    world.put(a_letter(1), a_letter(2))
    stored = json.loads(world.bucket.objects[a_letter(1).key])
    stored["sealed"] = world.keys.token("customer-1", '{"partition_key": 7}')
    world.keys.save()
    world.bucket.objects[a_letter(1).key] = json.dumps(stored).encode()
    found = dict(world.letters.read_all(world.letters.keys()))
    assert [type(one) for one in found.values()] == [NoLetter, StoredLetter]


def test_what_is_no_letter_is_named_and_nobody_stumbles_over_it(world: World) -> None:
    world.put(a_letter(1))
    world.bucket.objects["restaurant_notifier/note"] = b"hello"
    world.bucket.objects["restaurant_notifier/copy.json"] = world.bucket.objects[a_letter(1).key]
    found = dict(world.letters.read_all(world.letters.keys()))
    assert {key for key, one in found.items() if isinstance(one, NoLetter)} == {
        "restaurant_notifier/note",
        "restaurant_notifier/copy.json",
    }


@pytest.mark.slow
def test_thousands_are_read_in_the_order_of_their_keys(world: World) -> None:
    world.put(*(a_letter(number, data=b"x") for number in range(2500)))
    assert [key for key, _ in world.letters.read_all(world.letters.keys())] == sorted(world.bucket.objects)
