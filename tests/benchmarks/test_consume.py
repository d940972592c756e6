"""The parts of the race, quickly: the same events for all, nothing lost goes unseen, the Kinesis is one."""

import json
from typing import Any

from foundation.kinesis.deaggregation import unpack
from tests.benchmarks.consume import aggregates
from tests.benchmarks.fake_kinesis import Kinesis
from tests.benchmarks.figures import beside, one_line
from tests.benchmarks.order_events import differences, order_events
from tests.support.builders import a_record


def test_events_are_the_same_each_time_and_all_different() -> None:
    events = order_events(1000)
    assert events == order_events(1000)
    assert len({data for _, data in events}) == 1000
    assert all(json.loads(data)["order_id"] == order_id for order_id, data in events)
    assert 340 <= sum(len(data) for _, data in events) / 1000 <= 370


def test_what_is_missing_and_what_is_extra_is_counted_one_by_one() -> None:
    assert differences([b"a", b"b", b"b"], [b"b", b"b", b"a"]) == (0, 0)
    assert differences([b"a", b"b", b"b"], [b"a", b"b", b"c", b"c"]) == (1, 2)


def test_aggregates_hold_every_event_in_order() -> None:
    events = order_events(500)
    opened = [unpack(a_record(data=entry["Data"])) for entry in aggregates(events)]
    records = [record for aggregate in opened if aggregate for record in aggregate.records]
    assert [(record.partition_key, record.data) for record in records] == events


def test_a_figure_is_a_ratio_of_medians_with_its_verdict() -> None:
    met = beside("reading", [1, 2, 9], [30, 40, 10], "us", target=15)
    missed = beside("reading", [2], [29], "us", target=15)
    told = json.loads(one_line([met, missed, beside("reading", [2], [29], "us")]))
    assert told[0] == {"name": "reading", "ours": 2, "peer": 30, "unit": "us", "ratio": 15, "target": 15, "met": True}
    assert [figure["met"] for figure in told] == [True, False, None]


def test_the_kinesis_that_is_raced_on_pages_and_resumes() -> None:
    kinesis = Kinesis()
    asked = {"StreamName": "orders"}

    def answer(operation: str, **parameters: Any) -> dict[str, Any]:
        return dict(json.loads(kinesis.answer(operation, asked | parameters)))

    answer("CreateStream", ShardCount=1)
    entries = [{"Data": "AAAA", "PartitionKey": str(number)} for number in range(5)]
    put = answer("PutRecords", Records=entries)
    numbers = [result["SequenceNumber"] for result in put["Records"]]
    shard = {"ShardId": "shardId-000000000000"}

    def read(limit: int, kind: str, **start: Any) -> dict[str, Any]:
        iterator = answer("GetShardIterator", **shard, ShardIteratorType=kind, **start)["ShardIterator"]
        return answer("GetRecords", ShardIterator=iterator, Limit=limit)

    page = read(3, "TRIM_HORIZON")
    assert [record["SequenceNumber"] for record in page["Records"]] == numbers[:3]
    assert page["MillisBehindLatest"] != 0
    rest = answer("GetRecords", ShardIterator=page["NextShardIterator"])
    assert [record["SequenceNumber"] for record in rest["Records"]] == numbers[3:]
    assert rest["MillisBehindLatest"] == 0
    after = read(9, "AFTER_SEQUENCE_NUMBER", StartingSequenceNumber=numbers[1])
    assert [record["SequenceNumber"] for record in after["Records"]] == numbers[2:]
    assert read(9, "AFTER_SEQUENCE_NUMBER", StartingSequenceNumber=numbers[4])["Records"] == []


def test_the_kinesis_that_is_raced_on_refuses_the_share_it_is_told() -> None:
    kinesis = Kinesis(failing=0.3)
    kinesis.answer("CreateStream", {"StreamName": "orders", "ShardCount": 4})
    entries = [{"Data": "AAAA", "PartitionKey": str(number)} for number in range(1000)]
    put = json.loads(kinesis.answer("PutRecords", {"StreamName": "orders", "Records": entries}))
    assert 250 <= put["FailedRecordCount"] <= 350
    assert sum("ErrorCode" in result for result in put["Records"]) == put["FailedRecordCount"]
