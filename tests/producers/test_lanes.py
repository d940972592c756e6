"""What goes into the next request: one record a key, in order, within Kinesis' limits."""

import pytest

from producers.lanes import MAX_RECORD_BYTES, MAX_REQUEST_BYTES, MAX_REQUEST_ENTRIES, Lanes, Waiting, unsendable


def waiting(key: str, name: str = "", size: int = 10, give_up_at: float = 60.0) -> Waiting:
    return Waiting(subject=name or key, partition_key=key, data=b"x" * size, give_up_at=give_up_at)


def lanes(*records: Waiting) -> Lanes:
    filled = Lanes()
    for record in records:
        filled.add(record)
    return filled


def names(records: list[Waiting]) -> list[str]:
    return [record.subject for record in records]


def test_a_request_has_one_record_a_key() -> None:
    filled = lanes(waiting("a", "a1"), waiting("a", "a2"), waiting("b", "b1"))
    assert names(filled.due(0)) == ["a1", "b1"]


def test_a_head_that_backs_off_holds_its_own_lane_only() -> None:
    filled = lanes(first := waiting("a", "a1"), waiting("a", "a2"), waiting("b", "b1"))
    first.not_before = 5
    assert names(filled.due(4.9)) == ["b1"]
    assert filled.next_due() == 0
    assert names(filled.due(5)) == ["a1", "b1"]


def test_settling_lets_the_next_one_up_behind_the_other_lanes() -> None:
    filled = lanes(first := waiting("a", "a1"), waiting("a", "a2"), waiting("b", "b1"))
    filled.settle(first)
    assert names(filled.due(0)) == ["b1", "a2"]


def test_only_a_head_can_be_settled() -> None:
    filled = lanes(waiting("a", "a1"), second := waiting("a", "a2"))
    with pytest.raises(AssertionError, match="a2"):
        filled.settle(second)


def test_a_request_has_500_entries_at_most() -> None:
    filled = lanes(*(waiting(f"key-{number}") for number in range(MAX_REQUEST_ENTRIES + 1)))
    assert len(filled.due(0)) == MAX_REQUEST_ENTRIES


def test_a_request_has_5_mebibytes_at_most_keys_included() -> None:
    size = 1024 * 1024 - len("key-0")
    filled = lanes(*(waiting(f"key-{number}", size=size) for number in range(6)))
    due = filled.due(0)
    assert len(due) == 5
    assert sum(record.size for record in due) == MAX_REQUEST_BYTES


def test_counts_and_sizes_are_kept() -> None:
    filled = lanes(first := waiting("a", size=9), waiting("b", size=4))
    assert (filled.count, filled.size) == (2, 15)
    filled.settle(first)
    assert (filled.count, filled.size) == (1, 5)
    assert names(filled.all()) == ["b"]


def test_what_is_over_is_found_in_the_order_of_its_lane() -> None:
    filled = lanes(waiting("a", "a1", give_up_at=1), waiting("a", "a2", give_up_at=2), waiting("b", give_up_at=9))
    assert names(filled.expired(0.9)) == []
    assert names(filled.expired(1)) == ["a1"]
    assert names(filled.expired(10)) == ["a1", "a2", "b"]
    for record in filled.expired(2):
        filled.settle(record)
    assert names(filled.all()) == ["b"]


@pytest.mark.parametrize("key", ["", "k" * 257])
def test_a_key_kinesis_would_refuse_is_unsendable(key: str) -> None:
    assert "partition key" in str(unsendable(waiting(key)))


def test_a_mebibyte_key_included_is_the_most() -> None:
    assert unsendable(waiting("key", size=MAX_RECORD_BYTES - 3)) is None
    assert "bytes" in str(unsendable(waiting("key", size=MAX_RECORD_BYTES - 2)))
