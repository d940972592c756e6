"""The doctor counts what there is time for: however many letters there are, it says that there are some, and which."""

import pytest

from consumers.dead_letters.stored import S3DeadLetters
from takeaway.doctor import resources
from takeaway.doctor.facts import DeadLetters
from tests.support.fakes.bucket import FakeBucket, Gate
from tests.support.fakes.clock import FakeClock
from tests.support.worlds.lake_world import some_keys
from tests.support.worlds.redrive_world import a_letter


def looked_at(*keys: str, letters: int = 0, seconds_a_call: float = 0.0, **how: int) -> DeadLetters:
    """A page has two keys."""
    bucket, clock = FakeBucket("dead-letters", keys_per_page=2), FakeClock()
    stored = S3DeadLetters(bucket.client, bucket.name, some_keys())
    for number in range(letters):
        stored.put(a_letter(number + 1))
    for key in keys:
        bucket.client.put_object(Bucket=bucket.name, Key=key, Body=b"")
    gate = Gate()
    slow = bucket.through(gate)
    through = gate.through

    def takes_its_time(apply: object) -> object:
        clock.advance(seconds_a_call)
        return through(apply)  # type: ignore[arg-type]

    gate.through = takes_its_time  # type: ignore[method-assign]
    return resources.dead_letters(slow, bucket.name, "restaurant_notifier", 2.0, clock.clock, **how)


@pytest.mark.parametrize(
    ("key", "counted"),
    [
        ("restaurant_notifier/orders/shardId-0/17-0.json", 1),
        ("restaurant_notifier/newer/order_placed.v2/orders/shardId-0/17-0.json", 1),
        # A stream may be called so.
        ("restaurant_notifier/dropped/shardId-0/17-0.json", 1),
        ("dropped/restaurant_notifier/orders/shardId-0/17-0.json", 0),
        ("archiver/orders/shardId-0/17-0.json", 0),
    ],
)
def test_a_letter_that_was_dropped_waits_no_more(key: str, counted: int) -> None:
    assert looked_at(key).count == counted


def test_all_are_counted_where_there_is_time() -> None:
    found = looked_at(letters=5)
    assert (found.count, found.more, found.kinds) == (5, False, (("ValueError", 5),))


def test_of_more_than_there_is_time_for_some_are_counted_and_one_is_read() -> None:
    found = looked_at(letters=7, seconds_a_call=1.1)
    assert (found.count, found.more, found.looked_at, found.kinds) == (4, True, 1, (("ValueError", 1),))


def test_no_more_are_counted_than_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "_LETTERS_COUNTED", 3)
    found = looked_at(letters=7)
    assert (found.count, found.more) == (3, True)


def test_letters_may_be_counted_and_none_read() -> None:
    found = looked_at(letters=5, read=0)
    assert (found.count, found.looked_at, found.kinds) == (5, 0, ())
    assert found.newest_at is not None
