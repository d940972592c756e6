"""Aggregates as the KPL's format has them: every reader of it finds every record, in order, under its own key."""

import base64
from collections.abc import Sequence
from typing import Any

import pytest
from aws_kinesis_agg.deaggregator import iter_deaggregate_records
from hypothesis import given
from hypothesis import strategies as st

from foundation.kinesis.aggregation import AGGREGATE_KEY, pack
from foundation.kinesis.deaggregation import unpack
from producers.publishing.publication import Publication
from tests.support.builders import NOON, a_record

Pairs = Sequence[tuple[str, bytes]]
MANY = 10**7


def publications(pairs: Pairs) -> list[Publication]:
    return [Publication(key, data) for key, data in pairs]


def read_by_us(data: bytes) -> list[tuple[str | None, bytes]]:
    aggregate = unpack(a_record(data=data))
    assert aggregate is not None
    return [(record.partition_key, record.data) for record in aggregate.records]


def read_by_aws_kinesis_agg(data: bytes) -> list[tuple[str, bytes]]:
    record = {"Data": data, "PartitionKey": "a", "SequenceNumber": "1", "ApproximateArrivalTimestamp": NOON}
    found: list[Any] = list(iter_deaggregate_records([record], data_format="Boto3"))
    return [(one["kinesis"]["partitionKey"], base64.b64decode(one["kinesis"]["data"])) for one in found]


def test_it_goes_under_the_key_by_which_consumers_know_the_kpl() -> None:
    assert AGGREGATE_KEY == "a"


def test_200_keys_are_read_by_aws_kinesis_agg_and_by_us() -> None:
    pairs = [(f"order-{at % 200}", f"event {at}".encode()) for at in range(1000)]
    packed = pack(publications(pairs), MANY)
    assert packed.aggregated
    assert read_by_us(packed.data) == pairs
    assert read_by_aws_kinesis_agg(packed.data) == pairs


@given(
    st.lists(
        st.tuples(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40), st.binary(max_size=300)),
        min_size=2,
        max_size=700,
    ),
    st.integers(20, 60_000),
)
def test_whatever_is_packed_comes_out_in_order_and_no_larger_than_allowed(pairs: Pairs, limit: int) -> None:
    waiting = publications(pairs)
    while waiting:
        packed = pack(waiting, limit)
        count = len(packed.records)
        assert packed.records == waiting[:count]
        if packed.aggregated:
            assert len(packed.data) + len(packed.partition_key) <= limit
            assert read_by_us(packed.data) == [(one.partition_key, one.data) for one in packed.records]
        else:
            assert (packed.partition_key, packed.data) == (waiting[0].partition_key, waiting[0].data)
        waiting = waiting[count:]


@pytest.mark.parametrize("keys", [1, 20, 100_000])
@pytest.mark.parametrize("limit", [51_200, 1024 * 1024])
def test_it_is_filled_nearly_to_the_limit_few_keys_or_many(keys: int, limit: int) -> None:
    pairs = [(f"a-customers-order-{at % keys:08d}", b"x" * 100) for at in range(20_000)]
    packed = pack(publications(pairs), limit)
    assert 0.9 * limit < len(packed.data) + 1 <= limit


@pytest.mark.slow
def test_more_keys_than_an_index_can_tell_end_it() -> None:
    packed = pack(publications([(f"{at:x}", b"") for at in range(20_000)]), MANY)
    assert 16_000 < len(packed.records) <= 16_384
    assert read_by_us(packed.data)[-1] == (packed.records[-1].partition_key, b"")


def test_a_lone_record_is_plain_however_large() -> None:
    [record] = publications([("order-1", b"x" * 1000)])
    assert pack([record], 10).data is record.data
    other = Publication("order-2", b"x" * 1000)
    assert pack([record, other], 1100).records == [record]
