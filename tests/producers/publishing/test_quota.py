"""A shard's quota: what goes by it is never more than Kinesis takes in any one second, and hardly less."""

import random

import pytest

from producers.publishing.quota import KINESIS_QUOTA, Quota, ShardBudget
from tests.support.fakes.kinesis_stream import Rate


def budget(share: float = 1.0, per_second: float = 1000) -> ShardBudget:
    return ShardBudget(Quota(per_second, 100), share)


def test_what_is_spent_comes_back_a_second_later() -> None:
    kept = budget()
    kept.spend(600, 0.0)
    kept.spend(300, 0.5)
    assert kept.left(0.9) == 100
    assert kept.enough_at(100, 0.9) == 0.9
    assert kept.enough_at(700, 0.9) == 1.0
    assert kept.enough_at(701, 0.9) == 1.5
    assert kept.left(1.0) == 700


def test_an_untouched_budget_takes_a_record_of_any_size_and_a_touched_one_waits_for_that() -> None:
    kept = budget()
    assert kept.left(0.0) == float("inf")
    kept.spend(1, 0.0)
    assert kept.enough_at(10**7, 0.1) == 1.0
    assert kept.left(1.0) == float("inf")


def test_records_count_as_well_as_bytes() -> None:
    kept = budget()
    for at in range(100):
        kept.spend(1, at / 1000)
    assert kept.left(0.5) == 0
    assert kept.enough_at(1, 0.5) == 1.0
    assert kept.left(1.0) == 1000 - 99
    assert kept.left(1.1) == float("inf")


def test_who_is_throttled_keeps_to_less_and_slowly_comes_back() -> None:
    kept = budget()
    for _ in range(3):
        kept.throttled(0.0)
    assert kept.share == pytest.approx(0.512)
    kept.spend(1, 1.0)
    assert kept.share == pytest.approx(0.562)
    kept.spend(1, 100.0)
    assert kept.share == 1.0


def test_a_share_never_vanishes() -> None:
    kept = budget()
    for _ in range(100):
        kept.throttled(0.0)
    assert kept.share > 0


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("slowest", [0.004, 0.05])
def test_no_second_has_more_than_the_quota_and_a_busy_one_hardly_less(seed: int, slowest: float) -> None:
    """Held against the limiter of the Kinesis in memory, which counts a record half way between us."""
    chance, kept = random.Random(seed), ShardBudget(KINESIS_QUOTA)
    limiter, now, sent = Rate(KINESIS_QUOTA.bytes_a_second), 0.0, 0
    while now < 20:
        # What is left is used to the end, as a backlogged lane does.
        left = kept.left(now)
        size = int(left) if 40_000 < left < 100_000 else chance.randrange(40_000, 60_000)
        now = kept.enough_at(size, now)
        latency = chance.uniform(slowest / 5, slowest)
        assert limiter.allows(now + latency / 2, size)
        limiter.count(now + latency / 2, size)
        kept.spend(size, now + latency / 2)
        sent += size
        now += latency
    assert sent > 0.95 * 20 * KINESIS_QUOTA.bytes_a_second
