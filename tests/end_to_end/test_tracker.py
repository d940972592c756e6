"""The tracker beside a flow with kills, repeats and garbage: what it knows is what the lake tells, byte for byte."""

import pytest

from analytics.lake import Lake
from analytics.seen import seen_in_lake
from consumers.specs import CONSUMERS, readers
from events.choreography import ARCHIVER, TRACKER
from events.states import FINAL
from events.timeline import SeenEvents, order_timeline, timeline_bytes
from events.wire import encode
from foundation import aws
from producers.assembly import tracked_orders
from takeaway.audit.stream import retained_records
from takeaway.audit.verdict import Bounds
from takeaway.replay import replayed
from tests.support.builders import an_envelope, an_order_completed
from tests.support.flow import Flow, pause, until

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(400)]


READY = an_order_completed(customer_name="Ada Lovelace", customer_email="ada@example.com")


def put(flow: Flow, data: bytes, order_id: str) -> None:
    kinesis = aws.client("kinesis", flow.environ)
    kinesis.put_record(StreamName=flow.environ["TAKEAWAY_STREAM"], Data=data, PartitionKey=order_id)


def empty(flow: Flow) -> None:
    """The tracker's table, as when it was lost."""
    dynamodb = aws.client("dynamodb", flow.environ)
    table = flow.environ["TAKEAWAY_TRACKER_TABLE"]
    for page in dynamodb.get_paginator("scan").paginate(TableName=table):
        for item in page["Items"]:
            dynamodb.delete_item(TableName=table, Key={"order_id": item["order_id"]})


def letters_of(flow: Flow, consumer: str) -> list[str]:
    pages = aws.client("s3", flow.environ).get_paginator("list_objects_v2")
    found = pages.paginate(Bucket=flow.environ["TAKEAWAY_DEAD_LETTER_BUCKET"], Prefix=f"{consumer}/")
    return [one["Key"] for page in found for one in page.get("Contents", [])]


def in_lake(flow: Flow) -> dict[str, bytes]:
    """Each order's timeline as the lake tells it."""
    found: dict[str, SeenEvents] = seen_in_lake(Lake.from_environment(flow.environ))
    return {order_id: timeline_bytes(order_timeline(order_id, known)) for order_id, known in found.items()}


@pytest.mark.long
def test_the_tracker_knows_of_each_order_what_the_lake_tells_byte_for_byte(flow: Flow) -> None:
    flow.start_api()
    for consumer in readers():
        flow.start_consumer(consumer)
    flow.start_load(orders=80, rate=15, seed=7)
    for victim in (ARCHIVER, "user_notifier", ARCHIVER):
        pause(2)
        flow.kill(victim)
        flow.start_consumer(victim)
    # Repeats; one never placed; one that no release here knows; and what is no event.
    for _, record in list(retained_records(flow.environ))[:20]:
        put(flow, record.data, str(record.partition_key))
    never_placed = an_envelope(READY, order_id="never-placed")
    put(flow, encode(never_placed), "never-placed")
    put(flow, encode(never_placed).replace(b'"order_completed"', b'"order_rated"'), "never-placed")
    put(flow, b"torn", "torn")
    flow.finish_load()
    flow.drain()
    lake, orders = in_lake(flow), tracked_orders(flow.environ)

    def tracked() -> dict[str, bytes]:
        return {name: timeline_bytes(order.timeline) for name, order in orders.get_many(lake).items()}

    until(lambda: tracked() == lake, within=60, every=0.5)
    assert len(lake) == 81
    known = orders.get_many(lake)
    assert {order.timeline.order_state for order in known.values()} <= set(FINAL)
    assert [name for name, order in known.items() if order.timeline.lacks_placing] == ["never-placed"]
    assert [name for name, order in known.items() if order.timeline.waits_for] == []
    assert not letters_of(flow, TRACKER)
    # Made anew from the lake alone, it is the same.
    flow.stop(ARCHIVER)
    empty(flow)
    assert tracked() == {}
    done = replayed(CONSUMERS[TRACKER], flow.environ, lambda _: None, lambda _: False)
    assert (done.texts_missing, done.newer) == (0, 0)
    assert tracked() == lake
    flow.start_consumer(ARCHIVER)
    assert {consumer: flow.stop(consumer) for consumer in readers()} == dict.fromkeys(readers(), 0)
    assert flow.look(Bounds(repeated_events=10_000, repeated_effects=100), ignore_others=True).ok
