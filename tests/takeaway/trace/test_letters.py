"""A letter of the order is told by class and place, by none of its words, and with enough of its key to show it."""

from datetime import UTC, datetime

import pytest

from consumers.dead_letters import NoLetter, StoredLetter, dead_letter, record_of
from takeaway.trace.letters import _told, as_much_as_needed
from takeaway.trace.naming import is_about
from tests.support.builders import a_record

NOW = datetime(2026, 3, 14, 13, 0, tzinfo=UTC)


def a_stored_letter() -> StoredLetter:
    letter = dead_letter(
        consumer="user_notifier",
        stream="orders",
        shard_id="shardId-000000000000",
        record=a_record(7),
        failed_at=NOW,
        attempts=3,
        error=ValueError("ada@example.com is no address"),
    )
    return StoredLetter(letter, "etag", "sealed")


def test_a_letter_tells_class_and_place_and_no_words() -> None:
    stored = a_stored_letter()
    key = stored.letter.key
    told = _told(key, stored, [record_of(key)])
    assert (told.consumer, told.kind, told.attempts, told.dropped) == ("user_notifier", "ValueError", 3, False)
    assert "ada" not in repr(told)
    assert record_of(key).startswith(told.shown_by)


def test_one_that_cannot_be_opened_is_told_by_its_key() -> None:
    key = a_stored_letter().letter.key
    told = _told(f"dropped/{key}", NoLetter(key, "is sealed", "ask"), [record_of(key)])
    assert (told.consumer, told.kind, told.attempts, told.dropped) == ("user_notifier", None, None, True)


def test_a_records_name_is_cut_where_no_other_begins_so() -> None:
    records = [f"orders/shardId-000000000000/{number}-0" for number in (4955000001, 4955000002, 4955990001, 7)]
    records.sort()
    for record in records:
        shown = as_much_as_needed(record, records)
        assert [one for one in records if one.startswith(shown)] == [record]
    assert (
        as_much_as_needed(records[2], records)
        == "orders/shardId-000000000000/4955990001-0"[: len("orders/shardId-000000000000/4955") + 4]
    )


@pytest.mark.parametrize(
    ("key", "data", "expected"),
    [
        ("order-1", b"torn", True),
        ("order-2", b'{"order_id":"order-1"', False),
        ("order-2", b'{"order_id":"order-1","currency":7}', True),
        (None, b'{"order_id":"order-1"}', True),
        (None, b'{"order_id":1}', False),
        (None, b"[" * 100_000, False),
        (None, b"\xff", False),
    ],
)
def test_whose_order_a_record_is_about(key: str | None, data: bytes, expected: bool) -> None:
    assert is_about("order-1", key, data) is expected
