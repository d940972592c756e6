"""Forgetting beside running processes: what was sealed before is unreadable, what is read a minute later is not."""

import json
from contextlib import suppress
from datetime import timedelta

import pytest
from botocore.exceptions import ClientError

from analytics.privacy import customer_keys
from analytics.privacy.customer_keys import ASK_EVERY, AskedTooLate, CustomerKeys
from analytics.privacy.forgotten import FORGOTTEN_KEY, KEPT, raise_generation, read_forgotten
from analytics.privacy.pages import KeyObjects
from foundation.bucket import Bucket
from tests.support.fakes.bucket import FakeBucket, Gate
from tests.support.fakes.clock import FakeClock
from tests.support.worlds.lake_world import Crash

ADA, BOB = "customer-1", "customer-2"
A_MINUTE = 60.0


class Place:
    """A bucket of keys, a clock, and processes that come and go."""

    def __init__(self) -> None:
        self.bucket, self.clock = FakeBucket("customer-keys"), FakeClock()

    def objects(self, gate: Gate | None = None) -> KeyObjects:
        return KeyObjects(Bucket(self.bucket.through(gate or Gate()), self.bucket.name), self.clock.clock)

    def process(self, gate: Gate | None = None) -> CustomerKeys:
        return CustomerKeys(self.objects(gate), clock=self.clock.clock)

    def text(self, token: str) -> str | None:
        return self.objects().texts([token])[token]

    def shown(self, keys: CustomerKeys, customer: str, text: str = "Kim") -> str:
        """A token that a reader may see."""
        token = keys.token(customer, text)
        keys.save()
        return token

    def pages(self) -> list[str]:
        return [key for key in self.bucket.objects if key != FORGOTTEN_KEY]


@pytest.fixture
def place() -> Place:
    return Place()


def forget(place: Place, customer: str) -> None:
    place.objects().forget([customer])


def test_a_running_process_gives_a_forgotten_customer_a_new_key_within_a_minute(place: Place) -> None:
    keys = place.process()
    before, other = place.shown(keys, ADA), place.shown(keys, BOB)
    place.objects().forget([ADA])
    assert place.text(before) is None
    place.clock.advance(A_MINUTE)
    after = place.shown(keys, ADA)
    assert place.text(after) == "Kim"
    assert place.text(before) is None
    assert place.shown(keys, BOB) == other  # its key stays, and is remembered
    assert place.text(other) == "Kim"


def test_what_waited_while_its_customer_was_forgotten_is_forgotten_with_it(place: Place) -> None:
    keys = place.process()
    before, other = keys.token(ADA, "Kim"), keys.token(BOB, "Kim")
    place.objects().forget([ADA])
    keys.save()
    assert (place.text(before), place.text(other)) == (None, "Kim")
    assert ADA.encode() not in b"".join(place.bucket.objects.values())


def test_to_ask_costs_one_request_in_half_a_minute_and_one_for_each_save(place: Place) -> None:
    keys = place.process()
    for number in range(100):
        keys.token(f"customer-{number}", "Kim")
    assert [name for name, _ in place.bucket.log] == ["get_object"]
    keys.save()
    assert [name for name, _ in place.bucket.log] == ["get_object", "put_object", "get_object"]
    keys.save()
    place.clock.advance(ASK_EVERY.total_seconds() + 1)
    keys.token(ADA, "Kim")
    assert len(place.bucket.log) == 4


def test_a_process_that_cannot_ask_makes_no_token_and_shows_none(place: Place) -> None:
    keys = place.process()
    place.bucket.fail("get_object", "SlowDown")
    with pytest.raises(ClientError):
        keys.token(ADA, "Kim")
    token = keys.token(ADA, "Kim")
    place.bucket.fail("get_object", "SlowDown")
    with pytest.raises(ClientError):
        keys.save()
    place.objects().forget([ADA])
    keys.save()
    assert place.text(token) is None


@pytest.mark.parametrize("applied", [False, True], ids=["before", "applied"])
@pytest.mark.parametrize("call", range(1, 9))
def test_a_process_meets_a_forgetting_at_any_call_of_it(place: Place, call: int, applied: bool) -> None:
    """It saves in the middle, and a minute after; what it learns in the middle it must not take for the whole."""
    keys = place.process()
    early = place.shown(keys, ADA)
    waiting, other = keys.token(ADA, "Jo"), keys.token(BOB, "Kim")
    middle = []

    def meanwhile() -> None:
        place.clock.advance(A_MINUTE)
        middle.append(place.shown(keys, ADA, "Mo"))

    gate = Gate(call, meanwhile, applied=applied)
    place.objects(gate).forget([ADA])
    if not middle:
        meanwhile()
    place.clock.advance(A_MINUTE)
    late = place.shown(keys, ADA, "Lu")
    assert (place.text(early), place.text(waiting)) == (None, None)
    assert (place.text(late), place.text(other)) == ("Lu", "Kim")


@pytest.mark.parametrize("applied", [False, True], ids=["before", "applied"])
@pytest.mark.parametrize("call", range(1, 7))
def test_a_forgetting_meets_a_save_at_any_call_of_it(place: Place, call: int, applied: bool) -> None:
    keys = place.process(Gate(call, lambda: forget(place, ADA), applied=applied))
    tokens = [place.shown(keys, BOB)]
    place.clock.advance(A_MINUTE)
    before = [keys.token(ADA, "Kim")]
    tokens.append(keys.token("customer-3", "Kim"))
    keys.save()
    # A key that was made after the generation was raised is a new one.
    made_since = [row for key in place.pages() for row in json.loads(place.bucket.objects[key]) if row and row[2] > 0]
    assert [row[0] for row in made_since if row[0] == ADA] == ([ADA] if place.text(before[0]) else [])
    assert [place.text(token) for token in tokens] == ["Kim", "Kim"]
    place.clock.advance(A_MINUTE)
    assert place.text(place.shown(keys, ADA)) == "Kim"


def crash() -> None:
    raise Crash


@pytest.mark.parametrize("applied", [False, True], ids=["before", "applied"])
@pytest.mark.parametrize("call", range(1, 12))
def test_a_forgetting_that_dies_at_any_call_spoils_nothing_and_is_made_again(
    place: Place, call: int, applied: bool
) -> None:
    keys, another = place.process(), place.process()
    old = [place.shown(one, ADA) for one in (keys, another)]
    others = [place.shown(one, BOB) for one in (keys, another)]
    with suppress(Crash):
        place.objects(Gate(call, crash, applied=applied)).forget([ADA])
    place.clock.advance(A_MINUTE)
    later = [place.shown(one, ADA) for one in (keys, another)]
    # Who was not forgotten yet may still be read; what comes now can be.
    assert [place.text(token) for token in (*others, *later)] == ["Kim"] * 4 or later == old
    place.objects().forget([ADA])
    assert [place.text(token) for token in (*old, *later)] == [None] * 4
    assert [place.text(token) for token in others] == ["Kim"] * 2


@pytest.mark.parametrize("applied", [False, True], ids=["before", "applied"])
@pytest.mark.parametrize("forgetting", [False, True], ids=["alone", "forgotten meanwhile"])
@pytest.mark.parametrize("call", range(1, 9))
def test_a_process_that_dies_at_any_call_of_a_save_takes_nothing_with_it(
    place: Place, call: int, forgetting: bool, applied: bool
) -> None:
    def event() -> None:
        if forgetting:
            place.objects().forget([ADA])
        raise Crash

    keys = place.process(Gate(call, event, applied=applied))
    shown: dict[str, list[str]] = {ADA: [], BOB: []}
    with suppress(Crash):
        for _ in range(2):
            for customer in (ADA, BOB):
                shown[customer].append(place.shown(keys, customer))
            place.clock.advance(A_MINUTE)
    if forgetting:
        place.objects().forget([ADA])
        assert {place.text(token) for token in shown[ADA]} <= {None}
    else:
        assert {place.text(token) for token in shown[ADA]} <= {"Kim"}
    assert {place.text(token) for token in shown[BOB]} <= {"Kim"}
    assert place.text(place.shown(place.process(), ADA)) == "Kim"


def test_keys_of_many_saves_share_a_page_and_a_full_one_is_left(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(customer_keys, "FULL_PAGE", 100)
    keys = place.process()
    tokens = [place.shown(keys, f"customer-{number}", f"Kim {number}") for number in range(250)]
    assert len(place.pages()) == 3
    assert [place.text(token) for token in tokens] == [f"Kim {number}" for number in range(250)]
    assert len({token.rpartition(".")[0] for token in tokens}) == 250
    assert len(keys._full) == 0


def test_forgetting_reads_as_many_pages_as_keys_fill_and_not_one_for_each_save(place: Place) -> None:
    keys = place.process()
    for number in range(200):
        place.shown(keys, f"customer-{number}")
    place.bucket.log.clear()
    assert place.objects().forget(["customer-7"]) == 1
    assert len(place.bucket.log) < 10


@pytest.mark.parametrize("applied", [False, True], ids=["before", "applied"])
@pytest.mark.parametrize("call", range(4, 9))
def test_a_dropped_key_does_not_come_back_with_the_page_that_is_written_again(
    place: Place, call: int, applied: bool
) -> None:
    """Wherever the process dies: what it learns on asking may come too late."""
    keys = place.process(Gate(call, crash, applied=applied))
    token = place.shown(keys, ADA)
    place.objects().forget([ADA])
    with suppress(Crash):
        place.text(place.shown(keys, BOB))  # on the same page, and it has not asked since
    assert place.text(token) is None
    assert len(place.pages()) == 1


@pytest.mark.parametrize("lost", [1, 2])
def test_a_page_whose_answer_is_lost_is_there_once_with_all_its_keys(place: Place, lost: int) -> None:
    keys = place.process()
    tokens = []
    for number in range(1, 4):
        if number == lost:
            place.bucket.lose_answer("put_object")
        tokens.append(keys.token(f"customer-{number}", "Kim"))
        with suppress(Exception):
            keys.save()
    keys.save()
    assert [place.text(token) for token in tokens] == ["Kim"] * 3
    assert len(place.pages()) == 1


def test_a_page_that_was_removed_by_hand_stays_gone_and_stops_nothing(place: Place) -> None:
    keys = place.process()
    gone = place.shown(keys, ADA)
    place.bucket.objects.clear()
    here = place.shown(keys, BOB)
    assert (place.text(gone), place.text(here)) == (None, "Kim")


def test_pages_of_earlier_releases_are_read_and_forgotten(place: Place) -> None:
    keys = place.process()
    tokens = {customer: place.shown(keys, customer) for customer in (ADA, BOB)}
    (page,) = place.pages()
    rows = json.loads(place.bucket.objects[page])
    place.bucket.objects[page] = json.dumps([row[:2] for row in rows]).encode()
    assert {place.text(token) for token in tokens.values()} == {"Kim"}
    assert place.objects().forget([ADA]) == 1
    assert {customer: place.text(token) for customer, token in tokens.items()} == {ADA: None, BOB: "Kim"}


def test_what_was_forgotten_is_told_for_days_and_then_no_more(place: Place) -> None:
    bucket = Bucket(place.bucket.client, place.bucket.name)
    at = place.clock.now()
    assert raise_generation(bucket, [ADA], at) == 1
    assert raise_generation(bucket, [BOB], at + KEPT + timedelta(seconds=1)) == 2
    forgotten = read_forgotten(bucket)
    assert [entry.generation for entry in forgotten.entries] == [2]
    assert (forgotten.reaches(2), forgotten.reaches(1), forgotten.reaches(0), forgotten.reaches(3)) == (
        True,
        True,
        False,
        False,
    )
    goes = forgotten.test(1)
    assert (goes(BOB, 1), goes(BOB, 2), goes(ADA, 0)) == (True, False, False)
    assert ADA.encode() not in place.bucket.objects[FORGOTTEN_KEY]


def test_each_forgetting_has_a_generation_of_its_own(place: Place) -> None:
    bucket = Bucket(place.bucket.client, place.bucket.name)
    raise_generation(bucket, [BOB], place.clock.now())

    def meanwhile() -> None:
        raise_generation(bucket, [BOB], place.clock.now())

    raced = Bucket(place.bucket.through(Gate(2, meanwhile)), place.bucket.name)
    assert raise_generation(raced, [ADA], place.clock.now()) == 3
    assert [entry.generation for entry in read_forgotten(bucket).entries] == [1, 2, 3]


def test_a_write_that_is_refused_after_it_was_applied_raises_the_generation_once(place: Place) -> None:
    """As a lost answer, sent again by botocore, has it."""
    bucket = Bucket(place.bucket.client, place.bucket.name)
    raise_generation(bucket, [BOB], place.clock.now())

    def refused() -> None:
        raise place.bucket.error("put_object", "PreconditionFailed", "")

    twice = Bucket(place.bucket.through(Gate(2, refused, applied=True)), place.bucket.name)
    assert raise_generation(twice, [ADA], place.clock.now()) == 2
    assert read_forgotten(bucket).generation == 2


def test_a_process_that_asks_after_weeks_starts_again_if_it_has_keys_to_save(place: Place) -> None:
    idle, busy = place.process(), place.process()
    place.shown(idle, ADA)
    busy.token(ADA, "Kim")
    for _ in range(2):
        place.objects().forget([ADA])
        place.clock.advance(KEPT.total_seconds() + 1)
    place.objects().forget([BOB])
    for _ in range(2):
        with pytest.raises(AskedTooLate, match="fix: start it again"):
            busy.token(ADA, "Kim")
        with pytest.raises(AskedTooLate, match="fix: start it again"):
            busy.save()
    assert place.text(place.shown(idle, ADA)) == "Kim"
