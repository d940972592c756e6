"""What goes into the next request: one record a lane, in order, within Kinesis' limits and the shard's quota."""

from collections.abc import Sequence

import pytest

from foundation.kinesis.aggregation import AGGREGATE_BYTES
from foundation.kinesis.limits import MAX_RECORD_BYTES, MAX_REQUEST_BYTES, MAX_REQUEST_RECORDS
from producers.publishing.lanes import Lanes, Limits, Parcel
from producers.publishing.publication import Publication
from producers.publishing.quota import KINESIS_QUOTA, Quota
from tests.support.shards import a_map, key_in

LIMITS = Limits()
UNLIMITED = Quota(float("inf"), float("inf"))


def waiting(key: str, name: str = "", size: int = 10, give_up_at: float = 60.0) -> Publication:
    return Publication(key, b"x" * size, name or key, give_up_at)


def lanes(*records: Publication, shards: int = 2, quota: Quota = UNLIMITED) -> Lanes:
    filled = Lanes(a_map(shards), quota)
    filled.add(records)
    return filled


def names(parcels: Sequence[Parcel]) -> list[list[str]]:
    return [[record.subject for record in parcel.records] for parcel in parcels]


A, B = key_in(0, 2), key_in(1, 2)


def test_a_request_has_one_record_a_lane() -> None:
    filled = lanes(waiting(A, "a1"), waiting(B, "b1"), waiting(A, "a2"))
    assert names(filled.due(0, LIMITS)) == [["a1", "a2"], ["b1"]]
    assert [parcel.explicit_hash_key for parcel in filled.due(0, LIMITS)] == [str(2**127 - 1), None]


def test_a_lane_that_backs_off_or_is_in_doubt_holds_itself_only() -> None:
    filled = lanes(waiting(A, "a1"), waiting(B, "b1"))
    first, second = filled
    first.not_before = 5
    second.in_doubt = True
    assert names(filled.due(4.9, LIMITS)) == []
    assert filled.starts_at(0) == 5
    assert names(filled.due(5, LIMITS)) == [["a1"]]


def test_what_is_taken_out_lets_the_next_ones_up() -> None:
    filled = lanes(*(waiting(A, str(number), size=30_000) for number in range(3)))
    [parcel] = filled.due(0, LIMITS)
    assert names([parcel]) == [["0"]]
    assert parcel.taken_out() == parcel.records
    assert names(filled.due(0, LIMITS)) == [["1", "2"]]


@pytest.mark.slow
def test_a_request_has_500_entries_at_most_and_the_others_are_first_in_the_next() -> None:
    count = MAX_REQUEST_RECORDS + 3
    filled = lanes(*(waiting(key_in(at, count), str(at)) for at in range(count)), shards=count)
    first = filled.due(0, LIMITS)
    assert names(first) == [[str(at)] for at in range(MAX_REQUEST_RECORDS)]
    assert names(filled.due(0, LIMITS))[:4] == [["500"], ["501"], ["502"], ["0"]]


def test_a_request_has_5_mebibytes_at_most_keys_included() -> None:
    size = MAX_RECORD_BYTES - len(A)
    filled = lanes(*(waiting(key_in(at, 6), size=size + len(A) - len(key_in(at, 6))) for at in range(6)), shards=6)
    due = filled.due(0, LIMITS)
    assert len(due) == 5
    assert sum(parcel.size for parcel in due) == MAX_REQUEST_BYTES


def test_where_large_records_are_allowed_a_request_has_10_mebibytes() -> None:
    filled = lanes(waiting(A, "a", size=9 * MAX_RECORD_BYTES), waiting(B, "b", size=2 * MAX_RECORD_BYTES))
    large = Limits(10 * MAX_RECORD_BYTES)
    assert names(filled.due(0, large)) == [["a"]]
    assert names(filled.due(0, large)) == [["b"]]


def test_a_record_over_all_limits_goes_alone_and_holds_up_nobody() -> None:
    """As when the stream took such ones until a moment ago: Kinesis judges it."""
    filled = lanes(waiting(A, "large", size=9 * MAX_RECORD_BYTES), waiting(B, "b"))
    for name in ("large", "b"):
        [parcel] = filled.due(0, LIMITS)
        assert [record.subject for record in parcel.taken_out()] == [name]


def test_an_aggregate_has_the_usual_size_until_more_waits_than_that() -> None:
    filled = lanes(*(waiting(A, size=1000) for _ in range(300)))
    sizes = []
    while due := filled.due(0, LIMITS):
        sizes.append(due[0].size)
        due[0].taken_out()
    assert AGGREGATE_BYTES * 0.9 < sizes[0] <= AGGREGATE_BYTES
    assert AGGREGATE_BYTES * 1.8 < sizes[1] <= AGGREGATE_BYTES * 2
    filled.add([waiting(A, size=1000) for _ in range(300)])
    assert filled.due(0, LIMITS)[0].size <= AGGREGATE_BYTES


def test_what_was_refused_is_small_again() -> None:
    """Another writer may leave room for a little only."""
    filled = lanes(*(waiting(A, size=1000) for _ in range(2000)))
    for _ in range(3):
        [parcel] = filled.due(0, LIMITS)
        parcel.taken_out()
    [lane, _] = filled
    [grown] = filled.due(0, LIMITS)
    lane.refused(not_before=1)
    [small] = filled.due(1, LIMITS)
    assert grown.size > 4 * AGGREGATE_BYTES
    assert small.size <= AGGREGATE_BYTES


def test_a_lane_waits_until_its_shard_has_room_for_an_aggregate_and_not_for_more() -> None:
    filled = lanes(*(waiting(A, size=1000) for _ in range(200)), quota=KINESIS_QUOTA)
    lane = next(iter(filled))
    lane.budget.spend(1_040_000, 0.0)
    assert filled.due(0.5, LIMITS) == []
    assert filled.starts_at(0.5) == 1.0
    assert len(filled.due(1.0, LIMITS)) == 1


def test_what_a_shard_has_left_is_used_to_the_end() -> None:
    filled = lanes(*(waiting(A, size=1000) for _ in range(200)), quota=KINESIS_QUOTA)
    next(iter(filled)).budget.spend(1024 * 1024 - 75_000, 0.0)
    [parcel] = filled.due(0.5, LIMITS)
    assert 70_000 < parcel.size <= 75_000


def test_what_is_over_is_found_in_the_order_of_its_lane() -> None:
    filled = lanes(waiting(A, "a1", give_up_at=1), waiting(A, "a2", give_up_at=2), waiting(B, give_up_at=9))
    assert filled.expired(0.9) == []
    assert [record.subject for record in filled.expired(1)] == ["a1"]
    assert [record.subject for record in filled.expired(10)] == ["a2", B]
    assert filled.all() == []


def test_lanes_follow_a_split_and_a_merge_with_all_that_waits_in_order() -> None:
    four = [key_in(at, 4) for at in range(4)]
    records = [
        waiting(key, f"{key} {turn}", give_up_at=turn * 4 + at) for turn in range(3) for at, key in enumerate(four)
    ]
    filled = lanes(*records, shards=2)
    split = filled.follow(a_map(4))
    assert [[record.subject for record in lane.waiting] for lane in split] == [
        [f"{key} {turn}" for turn in range(3)] for key in four
    ]
    merged = split.follow(a_map(1))
    assert merged.all() == records


def test_a_shard_that_stays_open_keeps_its_lane() -> None:
    filled = lanes(waiting(A))
    kept = next(iter(filled))
    kept.failures = 3
    assert next(iter(filled.follow(a_map(2)))) is kept


@pytest.mark.parametrize("key", ["", "k" * 257])
def test_a_key_kinesis_would_refuse_is_unsendable(key: str) -> None:
    assert LIMITS.doubtful([waiting(key)])
    assert "partition key" in str(LIMITS.refusal(waiting(key)))


def test_the_streams_limit_key_included_is_the_most() -> None:
    assert LIMITS.refusal(waiting("key", size=MAX_RECORD_BYTES - 3)) is None
    over = waiting("key", size=MAX_RECORD_BYTES - 2)
    assert LIMITS.doubtful([over]) == [over]
    assert "bytes" in str(LIMITS.refusal(over))
    assert Limits(2 * MAX_RECORD_BYTES).refusal(over) is None
