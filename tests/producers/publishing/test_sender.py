"""What is sent, and what comes of it where Kinesis fails: order, no loss, no acknowledgement of its own invention."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError, NoCredentialsError

from foundation.kinesis.aggregation import AGGREGATE_BYTES, AGGREGATE_KEY
from foundation.kinesis.limits import MAX_RECORD_BYTES, MAX_REQUEST_RECORDS
from producers.publishing.diagnostics import (
    AggregateAstray,
    EntriesRejected,
    PutRecordsFailed,
    RecordLimitUnknown,
    RecordsGivenUp,
    RequestRefused,
    ShardMapFollowed,
    ShardMapUnknown,
)
from producers.publishing.lanes import Lanes
from producers.publishing.quota import Quota
from tests.support.fakes.kinesis_stream import HASH_KEYS, WRITTEN_BYTES_PER_SECOND, hash_key
from tests.support.worlds.sender_world import World, failed, keys

HALF = HASH_KEYS // 2
UNLIMITED = Quota(float("inf"), float("inf"))


@pytest.fixture
def world() -> World:
    return World()


# What is sent together.


def test_a_request_has_one_aggregate_for_each_shard(world: World) -> None:
    world.deliver(keys(50))
    [request] = world.requests
    assert [entry["PartitionKey"] for entry in request] == [AGGREGATE_KEY] * 2
    assert [int(entry["ExplicitHashKey"]) for entry in request] == [HALF - 1, HASH_KEYS - 1]
    world.check()


def test_a_lone_record_stays_plain(world: World) -> None:
    [record] = world.deliver(["order-7"])
    assert world.requests == [[{"Data": record.data, "PartitionKey": "order-7"}]]
    assert record.result(0).sub_sequence_number == 0
    world.check()


def test_a_future_tells_shard_number_place_and_attempts(world: World) -> None:
    records = world.deliver(keys(20))
    for shard_id in world.kinesis.shard_ids():
        mine = [record for record in records if record.result(0).shard_id == shard_id]
        assert [record.result(0).sub_sequence_number for record in mine] == list(range(len(mine)))
        assert {record.result(0).sequence_number for record in mine} == {
            held["SequenceNumber"] for held in world.kinesis.records(shard_id)
        }
    assert {record.result(0).attempts for record in records} == {1}


@pytest.mark.slow
def test_no_request_has_more_than_500_entries() -> None:
    world = World(shards=MAX_REQUEST_RECORDS + 50)
    world.deliver(keys(8000))
    assert max(len(request) for request in world.requests) == MAX_REQUEST_RECORDS
    world.check()


@pytest.mark.slow
def test_no_request_is_larger_than_5_mebibytes_and_no_shard_waits_for_ever() -> None:
    world = World(shards=8, quota=UNLIMITED)
    world.deliver(keys(400, each=40), size=1000)
    sizes = [sum(len(entry["Data"]) + len(entry["PartitionKey"]) for entry in request) for request in world.requests]
    assert 4 * 1024 * 1024 < max(sizes) <= 5 * 1024 * 1024
    world.check()


@pytest.mark.slow
def test_a_backlog_grows_its_aggregates_towards_the_record_limit() -> None:
    world = World(shards=1, quota=UNLIMITED)
    world.deliver(keys(100, each=100), size=500)
    sizes = [len(entry["Data"]) for [entry] in world.requests]
    assert 0.9 * AGGREGATE_BYTES < sizes[0] <= AGGREGATE_BYTES
    assert all(1.8 < later / earlier < 2.2 for earlier, later in itertools.pairwise(sizes[:4]))
    assert max(sizes) <= MAX_RECORD_BYTES
    world.deliver(keys(500), size=500)
    assert len(world.requests[len(sizes)][0]["Data"]) <= AGGREGATE_BYTES
    world.check()


# Order through failures.


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("share", [0.02, 0.3])
def test_order_holds_through_partial_failures(seed: int, share: float) -> None:
    world = World(shards=4, seed=seed)
    world.kinesis.failing = share
    for _ in range(50):
        world.take(keys(200))
        world.sender.step()
    world.run()
    assert len(world.sent) == 10_000
    world.check()


def test_only_the_rejected_lane_is_sent_again_and_the_others_go_on(world: World) -> None:
    world.kinesis.reject_entries(lambda entry: int(entry["ExplicitHashKey"]) < HALF, times=2)
    first = world.take(keys(10))
    world.sender.step()
    second = world.take(keys(10))
    world.run()
    for early, late in zip(first, second, strict=True):
        unlucky = hash_key(early.partition_key) < HALF
        assert early.result(0).attempts == (3 if unlucky else 1)
        assert late.result(0).attempts <= early.result(0).attempts
    assert [len(request) for request in world.requests] == [2, 1, 1, 1]
    world.check()


def test_a_rejection_is_told_with_its_code(world: World) -> None:
    world.kinesis.reject_entries(lambda _: True, code="InternalFailure")
    world.deliver(["order-1"])
    assert world.happened(EntriesRejected) == [EntriesRejected("orders", 1, 1, "InternalFailure", 1)]


def test_backoff_grows_and_has_a_ceiling(world: World) -> None:
    world.kinesis.fail("put_records", "InternalFailure", times=10)
    world.deliver(["order-1"])
    waits = [one.retry_in for one in world.happened(PutRecordsFailed)]
    ceilings = [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 2, 2, 2, 2]
    assert all(ceiling / 2 <= wait <= ceiling for wait, ceiling in zip(waits, ceilings, strict=True))


@pytest.mark.parametrize(
    "error", ["InternalFailure", "ServiceUnavailable", "ExpiredTokenException", "KMSThrottlingException"]
)
def test_a_failed_request_is_repeated_whole_and_in_order(world: World, error: str) -> None:
    world.kinesis.fail("put_records", error, times=3)
    records = world.deliver(keys(20, each=3))
    assert {record.result(0).attempts for record in records} == {4}
    world.check()


@pytest.mark.parametrize(
    "error",
    [
        NoCredentialsError(),
        EndpointConnectionError(endpoint_url="http://kinesis"),
        # What botocore lets through: credentials that are renewed too late, a token's file that is being replaced, and
        # a proxy's answers that are no JSON, or no JSON object.
        RuntimeError("Credentials were refreshed, but the refreshed credentials are still expired."),
        FileNotFoundError("/var/run/token"),
        UnicodeDecodeError("utf-8", b"\xe9", 0, 1, "invalid continuation byte"),
        AttributeError("'NoneType' object has no attribute 'get'"),
    ],
)
def test_credentials_or_a_network_that_are_away_for_a_while_cost_nothing(world: World, error: Exception) -> None:
    world.deliver(keys(10))
    world.kinesis.fail("put_records", error, times=5)
    world.deliver(keys(10))
    world.check()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_answers_lost_after_applying_double_records_and_neither_lose_nor_disorder_any(seed: int) -> None:
    world = World(shards=4, seed=seed)
    for turn in range(30):
        world.take(keys(50))
        if turn % 3 == 0:
            world.kinesis.lose_answer("put_records")
        world.sender.step()
    before = len(world.delivered())
    world.run()
    delivered = world.delivered()
    doubled = len(delivered) - len(world.sent)
    assert before > 0
    assert doubled > 0
    world.check(doubled=doubled)


def test_fewer_results_than_entries_acknowledge_nothing_more(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    cut = iter([1])
    put_records = world.kinesis.put_records

    def short(**parameters: Any) -> dict[str, Any]:
        answer = put_records(**parameters)
        return answer | {"Records": answer["Records"][: next(cut, None)]}

    monkeypatch.setattr(world.kinesis, "put_records", short)
    records = world.deliver(keys(20))
    upper = [record for record in records if hash_key(record.partition_key) >= HALF]
    assert {record.result(0).attempts for record in upper} == {2}
    assert {record.result(0).attempts for record in records if record not in upper} == {1}
    world.check(doubled=len(upper))


NOTHING_TOLD: list[dict[str, Any]] = [
    {"ResponseMetadata": {}},
    {"Records": None},
    {"Records": []},
    {"Records": [None]},
    {"Records": ["x"]},
    {"Records": "xy"},
    {"Records": [{}]},
    {"Records": [{"SequenceNumber": "1"}]},
]


@pytest.mark.parametrize("odd", NOTHING_TOLD)
def test_an_answer_that_tells_nothing_acknowledges_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch, odd: dict[str, Any]
) -> None:
    """What botocore makes of an HTTP 200 whose body is not Kinesis' own."""
    put_records: Callable[..., dict[str, Any]] = world.kinesis.put_records
    answers = iter([odd])
    monkeypatch.setattr(world.kinesis, "put_records", lambda **sent: next(answers, None) or put_records(**sent))
    records = world.deliver(["order-1"] * 3)
    assert [record.result(0).attempts for record in records] == [2, 2, 2]
    assert [told.codes for told in world.happened(EntriesRejected)] == ["Unanswered"]
    world.check()


# Resharding.


def split(world: World, shard_id: str, at: int) -> None:
    world.kinesis.split_shard(StreamName="orders", ShardToSplit=shard_id, NewStartingHashKey=str(at))


def test_what_lands_beside_its_shard_is_sent_again_and_the_children_open_after_it() -> None:
    world = World(shards=1)
    world.deliver(keys(50))
    split(world, "shardId-000000000000", HALF)
    early = world.take(keys(50))
    world.sender.step()
    assert not any(record.done() for record in early)
    world.take(keys(50))
    world.run()
    assert {record.result(0).attempts for record in early} == {2}
    [astray] = world.happened(AggregateAstray)
    assert (astray.predicted, astray.answered, astray.records) == ("shardId-000000000000", "shardId-000000000002", 50)
    world.check()


def test_an_aggregate_that_is_all_the_childs_is_acknowledged_there() -> None:
    world = World(shards=1)
    world.deliver(keys(50))
    split(world, "shardId-000000000000", HALF)
    records = world.deliver([key for key in keys(50) if hash_key(key) >= HALF])
    assert {record.result(0).shard_id for record in records} == {"shardId-000000000002"}
    assert {record.result(0).attempts for record in records} == {1}
    assert world.happened(AggregateAstray) == []
    world.check()


def test_nothing_goes_while_the_shards_that_answered_are_unknown(world: World) -> None:
    """ListShards tells of a reshard a little later than PutRecords."""
    world.deliver(keys(50))
    split(world, "shardId-000000000000", HALF // 2)
    world.kinesis.fail("list_shards", "LimitExceededException", times=3)
    upper_childs = [key for key in keys(100) if HALF // 2 <= hash_key(key) < HALF]
    early = world.take(upper_childs)
    world.sender.step()
    late = world.deliver(upper_childs)
    assert len(world.happened(ShardMapUnknown)) == 3
    assert {record.result(0).attempts for record in early + late} == {1}
    world.check()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_order_and_every_record_survive_reshards_in_the_middle_of_it_all(seed: int) -> None:
    world = World(shards=4, seed=seed)
    chance = world.kinesis._chance
    world.kinesis.failing = 0.1
    world.kinesis.latency = (0.01, 0.05)
    for turn in range(60):
        world.take(keys(100))
        world.sender.step()
        opened = world.kinesis.streams["orders"].open_shards
        if turn % 9 == seed % 9:
            shard = opened[chance.randrange(len(opened))]
            split(world, shard.shard_id, (shard.first_hash_key + shard.last_hash_key) // 2)
        elif turn % 9 == (seed + 4) % 9:
            low, high = sorted(opened, key=lambda shard: shard.first_hash_key)[:2]
            world.kinesis.merge_shards(
                StreamName="orders", ShardToMerge=low.shard_id, AdjacentShardToMerge=high.shard_id
            )
        if turn % 10 == 0:
            world.kinesis.fail("list_shards", "LimitExceededException")
    world.run()
    assert world.happened(ShardMapFollowed)
    assert world.happened(AggregateAstray)
    world.check()


@pytest.mark.slow
def test_with_lost_answers_too_a_reshard_loses_nothing() -> None:
    world = World(shards=2)
    for turn in range(20):
        world.take(keys(60))
        if turn % 4 == 1:
            world.kinesis.lose_answer("put_records")
        if turn in {5, 11}:
            first = world.kinesis.streams["orders"].open_shards[0]
            split(world, first.shard_id, (first.first_hash_key + first.last_hash_key) // 2)
        world.sender.step()
    world.run()
    world.check(doubled=len(world.delivered()) - len(world.sent))


def test_a_stream_that_is_made_anew_with_other_shards_gets_nothing_by_the_old_map() -> None:
    """Its second shard of three has the name of the old second of four, and takes other keys."""
    world = World(shards=4)
    world.deliver(keys(100))
    del world.kinesis.streams["orders"]
    records = world.take(keys(100))
    world.run(5)
    assert not any(record.done() for record in records)
    world.kinesis.create_stream(StreamName="orders", ShardCount=3)
    world.kinesis.fail("list_shards", "LimitExceededException", times=3)
    world.run()
    assert {record.result(0).shard_id for record in records} == set(world.kinesis.shard_ids())
    assert len(world.delivered()) == 100


def test_so_is_one_that_was_made_anew_unseen() -> None:
    world = World(shards=2)
    world.deliver(keys(50))
    world.kinesis.streams.clear()
    world.kinesis.create_stream(StreamName="orders", ShardCount=5)
    world.deliver(keys(50))
    assert len(world.delivered()) == 50


# What Kinesis never takes, and what it does not take in time.


@pytest.mark.parametrize(("before", "after"), [(4, 3), (8, 5), (2, 5)])
def test_and_one_made_anew_while_there_was_nothing_to_send(before: int, after: int) -> None:
    """A shard of the same name answers, and owns other keys: readers would drop what it took."""
    world = World(shards=before)
    world.deliver(keys(100))
    world.sent.clear()
    world.answered.clear()
    world.kinesis.streams.clear()
    world.kinesis.create_stream(StreamName="orders", ShardCount=after)
    world.time.advance(20)
    mine = [key for key in keys(400) if HASH_KEYS // before <= hash_key(key) < 2 * HASH_KEYS // before]
    for _ in range(3):
        world.deliver(mine)
    world.check()


def test_what_waits_for_the_shards_that_nobody_tells_fails_with_why(world: World) -> None:
    world.deliver(keys(20))
    world.time.advance(20)
    world.kinesis.fail("list_shards", "AccessDeniedException", times=1000)
    late = world.deliver(["order-1"])
    assert "the stream's shards are unknown: AccessDeniedException" in failed(late[0])


def test_a_shard_that_answered_and_is_never_listed_is_not_waited_for_for_ever() -> None:
    world = World(shards=2)
    world.deliver(keys(50))
    split(world, "shardId-000000000000", HALF // 2)
    world.take(keys(50))
    world.kinesis.fail("list_shards", "LimitExceededException")
    world.sender.step()
    world.kinesis.streams.clear()
    world.kinesis.create_stream(StreamName="orders", ShardCount=2)
    world.run()
    late = world.deliver(keys(50))
    assert {record.result(0).attempts for record in late} == {1}


def test_a_record_over_the_limit_fails_alone(world: World) -> None:
    [too_large] = world.take(["order-1"], size=MAX_RECORD_BYTES)
    fine = world.take(keys(20))
    world.run()
    assert "1048583 bytes, key included. fix: " in failed(too_large)
    assert all(record.result(0).attempts == 1 for record in fine)


@pytest.mark.parametrize("key", ["", "k" * 257, "half \ud800 a character"])
def test_a_key_that_kinesis_refuses_fails_alone(world: World, key: str) -> None:
    [bad] = world.take([key]) if key.isascii() else [world._record("order-0", 0)]
    if not key.isascii():
        bad.partition_key = key
        world.sender.take([bad])
    fine = world.take(keys(20))
    world.run()
    assert "its partition key has" in failed(bad)
    assert all(record.result(0).attempts == 1 for record in fine)


def test_keys_beyond_ascii_go_their_way(world: World) -> None:
    world.deliver(["bestelling-é", "注文" * 100, *keys(20), "注文" * 100])
    world.check()


@pytest.mark.slow
def test_where_the_stream_allows_it_a_record_may_have_10_mebibytes() -> None:
    world = World(record_kibibytes=10_240)
    large = world.take(["order-1"], size=10_240 * 1024 - len("order-1"))
    world.take(keys(20))
    world.run()
    assert large[0].result(0).attempts == 1
    world.check()


def test_a_limit_that_could_not_be_asked_for_is_asked_for_again() -> None:
    world = World(shards=1, record_kibibytes=10_240)
    world.kinesis.fail("describe_stream_summary", "LimitExceededException", times=2)
    [first] = world.deliver(["order-1"], size=2 * MAX_RECORD_BYTES)
    assert "its own limit is unknown: LimitExceededException: " in failed(first)
    [second] = world.deliver(["order-1"], size=2 * MAX_RECORD_BYTES)
    assert second.result(0).attempts == 1


def test_a_stream_that_does_not_tell_its_limit_takes_a_mebibyte(world: World) -> None:
    world.kinesis.fail("describe_stream_summary", "AccessDeniedException", times=2)
    [too_large] = world.take(["order-1"], size=MAX_RECORD_BYTES)
    world.run()
    assert "fix: " in failed(too_large)
    assert len(world.happened(RecordLimitUnknown)) == 1


def test_what_kinesis_alone_finds_wrong_is_found_by_halving_and_fails_with_its_words(world: World) -> None:
    """As when the stream's record limit was lowered."""
    check = world.kinesis._check_entry

    def suspicious(operation: str, entry: dict[str, Any]) -> None:
        if b"order-13 000001" in entry["Data"]:
            raise world.kinesis.error(operation, "ValidationException", "nothing about 13")
        check(operation, entry)

    world.kinesis._check_entry = suspicious  # type: ignore[method-assign]
    records = world.deliver(keys(40, each=2))
    [bad] = [record for record in records if record.data == b"order-13 000001"]
    assert "Kinesis refuses it: ValidationException: " in failed(bad)
    assert "nothing about 13" in failed(bad)
    world.sent.remove(bad)
    world.answered.remove(bad)
    world.check()
    assert len(world.happened(RequestRefused)) < 20


def test_a_record_is_given_up_at_its_deadline_with_the_reason_and_the_fix(world: World) -> None:
    world.deliver(keys(5))
    world.kinesis.fail("put_records", "ResourceNotFoundException", times=1000)
    [lost] = world.deliver(["order-1"])
    for told in ("order-1 000002", "stream orders", "ResourceNotFoundException", "fix: "):
        assert told in failed(lost)
    assert [given_up.records for given_up in world.happened(RecordsGivenUp)] == [1]
    assert 60 <= world.time.monotonic() < 63


def test_a_stream_that_is_not_there_is_given_up_with_the_services_own_words() -> None:
    world = World()
    world.kinesis.streams.clear()
    [lost] = world.deliver(["order-1"])
    assert "ResourceNotFoundException" in failed(lost)
    assert world.requests == []


def test_after_an_outage_all_goes_on(world: World) -> None:
    world.kinesis.fail("put_records", "InternalFailure", times=1000)
    failed(world.deliver(["order-1"])[0])
    world.kinesis._faults.clear()
    world.deliver(keys(20))
    assert len(world.delivered()) == 20


def test_what_is_given_up_while_in_doubt_lets_the_rest_of_its_aggregate_be_judged_as_a_whole() -> None:
    world = World(shards=1)
    world.deliver(keys(50))
    split(world, "shardId-000000000000", HALF)
    below = [key for key in keys(50) if hash_key(key) < HALF]
    above = [key for key in keys(50) if hash_key(key) >= HALF]
    early = world.take(below[:3])
    for record in early:
        record.give_up_at -= 30
    late = world.take(above[:3])
    world.kinesis.fail("list_shards", "LimitExceededException", times=25)
    world.run(35)
    assert [failed(record)[:5] for record in early] == ["order"] * 3
    world.run()
    assert [record.result(0).attempts for record in late] == [2, 2, 2]
    assert [record.data for record in world.delivered()][-3:] == [record.data for record in late]


def test_an_error_nobody_knows_is_a_defect_and_not_swallowed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise KeyError("lane")

    monkeypatch.setattr(Lanes, "due", broken)
    with pytest.raises(KeyError):
        world.deliver(["order-1"])
    assert len(world.sender.waiting()) == 1


# The shards' quota.


@pytest.mark.slow
def test_nearly_all_of_a_streams_quota_is_used_and_hardly_an_entry_is_throttled() -> None:
    world = World(shards=4, write_limits=True)
    world.kinesis.latency = (0.01, 0.05)
    seconds = 12
    world.backlogged(seconds)
    entries = sum(len(request) for request in world.requests)
    throttled = sum(told.rejected for told in world.happened(EntriesRejected))
    written = sum(len(held["Data"]) + len(held["PartitionKey"]) for held in world.kinesis.records())
    assert written >= 0.95 * 4 * 1024 * 1024 * seconds
    assert throttled < 0.01 * entries


@pytest.mark.slow
def test_far_from_kinesis_most_of_the_quota_is_used_too() -> None:
    world = World(shards=1, write_limits=True)
    world.kinesis.latency = (0.2, 0.4)
    world.backlogged(20)
    written = sum(len(held["Data"]) for held in world.kinesis.records())
    assert written / 20 > 0.7 * WRITTEN_BYTES_PER_SECOND


@pytest.mark.slow
def test_who_shares_a_shard_finds_out_how_much_is_left() -> None:
    """Another writer takes half of the bytes."""
    world = World(shards=1, write_limits=True)
    world.kinesis.latency = (0.01, 0.05)
    shard = world.kinesis.streams["orders"].open_shards[0]
    for second in range(20):
        for tenth in range(10):
            shard.written_bytes.count(world.time.monotonic(), 52_000)
            world.backlogged(second + tenth / 10 + 0.1 - world.time.monotonic())
    entries = [len(request) for request in world.requests]
    throttled = sum(told.rejected for told in world.happened(EntriesRejected))
    written = sum(len(held["Data"]) for held in world.kinesis.records())
    assert written > 0.8 * 20 * (1024 * 1024 - 520_000)
    assert throttled < 0.2 * sum(entries)
