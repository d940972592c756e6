"""An event is encoded once on its way to the stream, and what is stored and what is published are the same bytes."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

import events.wire
from consumers.batching.rules import BatchRules
from consumers.dead_letters.set_apart import SetsApart
from consumers.processing import Progress, ShardAssignment
from consumers.steps.outcomes import DynamoDBOutcomes
from consumers.steps.step import HandlerStep, performs
from events.orders import OrderPlaced, RestaurantNotified
from foundation.clock import uninterrupted_wait
from foundation.kinesis.records import Sentinel
from producers.orders.ordering import Done, Ordering
from producers.orders.requests import AcceptOrder, PlaceOrder
from producers.orders.table import OrdersTable
from producers.publishing.publisher import EventPublisher
from tests.support.builders import a_batch, a_record, an_order_item
from tests.support.fakes.clock import FakeClock
from tests.support.fakes.kinesis import FakeKinesis

PLACE = PlaceOrder(
    restaurant_id="restaurant-1",
    customer_name="Ada",
    customer_email="ada@example.com",
    items=(an_order_item(),),
    currency="EUR",
    city="Utrecht",
)


class Refused(Exception):
    pass


class Items:
    """What the two tables need of DynamoDB: new items, whole items, and entries at the end of a history."""

    exceptions = SimpleNamespace(ConditionalCheckFailedException=Refused)

    def __init__(self) -> None:
        self.items: dict[str, Any] = {}

    def put_item(self, *, Item: Any, **_: Any) -> None:  # noqa: N803 - AWS' names
        if self.items.setdefault(_key(Item), Item) is not Item:
            raise Refused

    def get_item(self, *, Key: Any, **_: Any) -> Any:  # noqa: N803
        return {"Item": self.items[_key(Key)]}

    def batch_get_item(self, *, RequestItems: Any) -> Any:  # noqa: N803
        [(table, wanted)] = RequestItems.items()
        found = [self.items[_key(key)] for key in wanted["Keys"] if _key(key) in self.items]
        return {"Responses": {table: found}, "UnprocessedKeys": {}}

    def update_item(self, *, Key: Any, ExpressionAttributeValues: Any, **_: Any) -> None:  # noqa: N803
        item = self.items[_key(Key)]
        if ":yes" in ExpressionAttributeValues:
            item["history"]["L"][-1]["M"]["acknowledged"] = ExpressionAttributeValues[":yes"]
        else:
            item["state"] = ExpressionAttributeValues[":state"]
            item["history"]["L"] += ExpressionAttributeValues[":performed"]["L"]


def _key(attributes: Any) -> str:
    [name] = {"order_id", "outcome_id"} & set(attributes)
    return str(attributes[name]["S"])


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> "Counter[str]":
    """How many events were encoded and decoded; each way in or out passes one of these two."""
    counted: Counter[str] = Counter()
    of_header, opened = events.wire.Header, events.wire._opened

    def header(**fields: Any) -> Any:
        counted["encode"] += 1
        return of_header(**fields)

    def opening(*heard: Any) -> Any:
        counted["decode"] += 1
        return opened(*heard)

    monkeypatch.setattr(events.wire, "Header", header)
    monkeypatch.setattr(events.wire, "_opened", opening)
    return counted


@contextmanager
def publishing(kinesis: FakeKinesis) -> Iterator[EventPublisher]:
    with EventPublisher(
        kinesis.client, "orders", clock=FakeClock().clock, wait=uninterrupted_wait(), emit=lambda _: None
    ) as publisher:
        yield publisher


def _ordering(client: Items, publisher: EventPublisher) -> Ordering:
    return Ordering(
        OrdersTable(client, "orders"),  # type: ignore[arg-type]
        publisher,
        clock=FakeClock().clock,
        emit=lambda _: None,
        answer_within=timedelta(seconds=10),
    )


def test_a_command(calls: "Counter[str]") -> None:
    kinesis, client = FakeKinesis(FakeClock().clock), Items()
    with publishing(kinesis) as publisher:
        ordering = _ordering(client, publisher)
        placed = ordering.place(PLACE, customer_id="customer-1", idempotency_key="key-1", traceparent=None)
        assert isinstance(placed, Done)
        assert calls == {"encode": 1}

        accepted = ordering.perform(
            AcceptOrder(ready_in_minutes=5),
            order_id=placed.order_id,
            subject="restaurant-1",
            idempotency_key="accept",
        )
        assert isinstance(accepted, Done)
        # What is decoded is the order as it is stored: its placing, which is published no more.
        assert calls == {"encode": 2, "decode": 1}
    stored = [entry["M"]["envelope"]["B"] for entry in client.items[placed.order_id]["history"]["L"]]
    assert stored == [record.data for record in kinesis.user_records()]


def test_a_command_that_is_repeated(calls: "Counter[str]") -> None:
    """What is published again are the stored bytes, though another release may have written them another way."""
    kinesis, client = FakeKinesis(FakeClock().clock), Items()
    with publishing(kinesis) as publisher:
        ordering = _ordering(client, publisher)
        placed = ordering.place(PLACE, customer_id="customer-1", idempotency_key="key-1", traceparent=None)
        assert isinstance(placed, Done)
        [entry] = client.items[placed.order_id]["history"]["L"]
        del entry["M"]["acknowledged"]
        entry["M"]["envelope"]["B"] = entry["M"]["envelope"]["B"].replace(b"{", b'{"loyalty_points":7,', 1)
        ordering.place(PLACE, customer_id="customer-1", idempotency_key="key-1", traceparent=None)
    assert calls == {"encode": 2, "decode": 1}
    assert kinesis.user_records()[1].data == entry["M"]["envelope"]["B"]


def test_a_handled_event(calls: "Counter[str]") -> None:
    kinesis, client = FakeKinesis(FakeClock().clock), Items()
    batch = a_batch(a_record(1))
    calls.clear()
    with publishing(kinesis) as publisher:
        _told(publisher, client, batch)
        assert calls == {"decode": 1, "encode": 1}

        # Heard again: what was heard and what is remembered are read, and nothing is written anew.
        [remembered] = client.items.values()
        remembered["outcome"]["B"] = remembered["outcome"]["B"].replace(b"{", b'{"loyalty_points":7,', 1)
        _told(publisher, client, batch)
        assert calls == {"decode": 3, "encode": 1}
    first, again = [record.data for record in kinesis.user_records()]
    assert again == remembered["outcome"]["B"] == first.replace(b"{", b'{"loyalty_points":7,', 1)


def _told(publisher: EventPublisher, client: Items, batch: Any) -> None:
    clock = FakeClock().clock
    processor = performs(
        HandlerStep(
            "restaurant_notifier",
            OrderPlaced,
            lambda _: RestaurantNotified(restaurant_id="restaurant-1", channel="sns", message_id="m-1"),
        ),
        BatchRules(parallelization_factor=1),
        outcomes=DynamoDBOutcomes(
            client,  # type: ignore[arg-type]
            "outcomes",
            "restaurant_notifier",
            keep=timedelta(days=30),
            clock=clock,
            wait=uninterrupted_wait(),
        ),
        publisher=publisher,
        apart=SetsApart("restaurant_notifier", None, clock=clock, emit=lambda _: None),  # type: ignore[arg-type]
        clock=clock,
        emit=lambda _: None,
    )(ShardAssignment("orders", "shardId-000000000000", Sentinel.TRIM_HORIZON))
    last = batch.records[-1].sequence_number
    assert processor.process(batch) == Progress(last)
