"""Unpacking aggregates: what a producer put in comes out, and what is damaged stays as it is."""

import base64
import hashlib

import pytest
from aws_kinesis_agg import MAGIC
from aws_kinesis_agg.aggregator import RecordAggregator
from aws_kinesis_agg.deaggregator import deaggregate_records, messages_pb2
from hypothesis import given
from hypothesis import strategies as st

from foundation.kinesis.deaggregation import Aggregate, unpack
from foundation.kinesis.hash_keys import HashKeyRange
from tests.support.builders import NOON, a_message, a_record, an_aggregate_of

LOW, HIGH = HashKeyRange(0, 2**127 - 1), HashKeyRange(2**127, 2**128 - 1)


def md5(key: str) -> int:
    return int.from_bytes(hashlib.md5(key.encode(), usedforsecurity=False).digest())


def packed(*records: tuple[str, bytes], explicit: str | None = None) -> bytes:
    aggregator = RecordAggregator()
    for key, data in records:
        aggregator.add_user_record(key, data, explicit)
    return aggregator.clear_and_get().get_contents()[2]


def sealed(aggregate: messages_pb2.AggregatedRecord) -> bytes:
    return an_aggregate_of(aggregate.SerializeToString())


def opened(data: bytes, outer_key: str = "order-1") -> Aggregate:
    aggregate = unpack(a_record(7, data=data, order_id=outer_key))
    assert aggregate is not None
    return aggregate


def key_in(hash_keys: HashKeyRange) -> str:
    return next(f"k{n}" for n in range(100) if md5(f"k{n}") in hash_keys)


@given(st.lists(st.tuples(st.text("abcé", min_size=1, max_size=5), st.binary(max_size=40)), min_size=1, max_size=20))
def test_what_was_packed_comes_out_in_order(records: list[tuple[str, bytes]]) -> None:
    unpacked = opened(packed(*records)).records
    assert [(record.partition_key, record.data) for record in unpacked] == records
    assert [(record.number, record.sub) for record in unpacked] == [("7", sub) for sub in range(len(records))]
    assert {record.arrived_at for record in unpacked} == {NOON}


def test_it_agrees_with_the_library() -> None:
    data = packed(("k1", b"one"), ("k2", b"two"), explicit="17")
    lambda_record = {
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "sequenceNumber": "1",
            "approximateArrivalTimestamp": 0,
            "data": base64.b64encode(data),
        }
    }
    theirs = [
        (each["kinesis"]["partitionKey"], base64.b64decode(each["kinesis"]["data"]))
        for each in deaggregate_records([lambda_record])
    ]
    assert [(record.partition_key, record.data) for record in opened(data).records] == theirs


def test_a_record_is_routed_by_its_own_hash_key_or_by_its_partition_key() -> None:
    low, high = key_in(LOW), key_in(HIGH)
    aggregate = messages_pb2.AggregatedRecord(partition_key_table=[low, high], explicit_hash_key_table=["123"])
    aggregate.records.add(partition_key_index=1, explicit_hash_key_index=0, data=b"explicitly low")
    assert not opened(sealed(aggregate), "a").is_stray(LOW)
    aggregate.records.add(partition_key_index=1, data=b"high by its key")
    assert opened(sealed(aggregate), "a").is_stray(LOW)


short = st.binary(max_size=20)


@given(st.one_of(st.binary(max_size=80), st.builds(a_message, short, short, short)), st.sampled_from(["a", "order-1"]))
def test_any_bytes_behind_the_magic_are_an_aggregate_with_keys_of_text_or_none(message: bytes, outer_key: str) -> None:
    aggregate = unpack(a_record(7, data=an_aggregate_of(message), order_id=outer_key))
    if aggregate is not None:
        assert all(isinstance(record.partition_key, str) for record in aggregate.records)
        assert aggregate.is_stray(LOW) in {True, False}


def damaged() -> dict[str, bytes]:
    good = packed(("k1", b"one"), ("k2", b"two"))
    bad_index = messages_pb2.AggregatedRecord(partition_key_table=["k1"])
    bad_index.records.add(partition_key_index=0, data=b"one")
    bad_index.records.add(partition_key_index=5, data=b"two")
    bad_hash_key = messages_pb2.AggregatedRecord(partition_key_table=["k1"], explicit_hash_key_table=["none"])
    bad_hash_key.records.add(partition_key_index=0, data=b"one")
    noise = b"\xff\xff\xff"
    return {
        "empty": b"",
        "plain": b'{"event_id": 1}',
        "magic only": MAGIC,
        "magic and too little": MAGIC + b"x" * 15,
        "wrong digest": good[:-1] + bytes([good[-1] ^ 1]),
        "cut short": good[:-3],
        "no message": an_aggregate_of(noise),
        "a key that is no text": an_aggregate_of(a_message(key=b"\xff\xfe")),
        "a hash key that is no text": an_aggregate_of(a_message(hash_key=b"\xff\xfe")),
        "an index beyond the table": sealed(bad_index),
        "a hash key that is none": sealed(bad_hash_key),
        "no records": sealed(messages_pb2.AggregatedRecord()),
    }


@pytest.mark.parametrize("name", damaged())
def test_what_is_no_whole_aggregate_stays_as_it_is_and_nothing_is_printed(
    name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert unpack(a_record(data=damaged()[name], order_id="a")) is None
    assert capfd.readouterr() == ("", "")


def test_an_aggregate_of_the_kpl_with_one_record_of_another_shard_is_stray() -> None:
    low, mixed = packed((key_in(LOW), b"one")), packed((key_in(LOW), b"one"), (key_in(HIGH), b"two"))
    assert opened(mixed, "a").is_stray(LOW)
    assert opened(mixed, "a").is_stray(HIGH)
    assert not opened(low, "a").is_stray(LOW)
    assert not opened(mixed, "order-1").is_stray(LOW)
