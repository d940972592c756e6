"""Who is quicker than the note of what is there already: nothing is published twice for that."""

from datetime import timedelta
from typing import Any

import pytest

from events.envelope import EventEnvelope
from events.orders import Event
from events.wire import decode
from foundation.clock import uninterrupted_wait
from producers.orders.commands import WrongState, derive_order_id
from producers.orders.ordering import Done, Ordering
from producers.orders.requests import AcceptOrder, CancelOrder, PlaceOrder
from producers.publishing.publisher import EventPublisher
from tests.support.builders import an_order_item
from tests.support.fakes.clock import FakeClock
from tests.support.fakes.kinesis import FakeKinesis
from tests.support.fakes.orders import FakeOrders

ORDER_ID = derive_order_id("customer-1", "key-1")
PLACE = PlaceOrder(
    restaurant_id="restaurant-1",
    customer_name="Ada",
    customer_email="ada@example.com",
    items=(an_order_item(),),
    currency="EUR",
    city="Utrecht",
)


class LateNotes(FakeOrders):
    """Notes are written only while somebody waits for them, if at all."""

    late: tuple[Any, Any] | None = None

    def note_acknowledged(self, order: Any, performed: Any) -> Any:
        self.late = (order, performed)
        return order

    def pass_time(self, _: float) -> bool:
        if self.late:
            super().note_acknowledged(*self.late)
        return False


def published(kinesis: FakeKinesis) -> list[EventEnvelope[Event]]:
    return [decode(record.data) for record in kinesis.user_records()]


def test_what_is_noted_a_moment_later_is_not_published_again() -> None:
    kinesis, orders, time = FakeKinesis(FakeClock().clock), LateNotes(), FakeClock()
    with EventPublisher(
        kinesis.client, "orders", clock=time.clock, wait=uninterrupted_wait(), emit=lambda _: None
    ) as publisher:
        ordering = Ordering(
            orders,
            publisher,
            clock=time.clock,
            emit=lambda _: None,
            answer_within=timedelta(seconds=10),
            wait=orders.pass_time,
        )
        placed = ordering.place(PLACE, customer_id="customer-1", idempotency_key="key-1", traceparent=None)
        assert isinstance(placed, Done)
        accepted = ordering.perform(
            AcceptOrder(ready_in_minutes=5), order_id=ORDER_ID, subject="restaurant-1", idempotency_key="accept"
        )
        assert isinstance(accepted, Done)
    assert [envelope.event_type for envelope in published(kinesis)] == ["order_placed", "order_accepted"]


def test_what_won_is_published_by_who_won_and_not_by_who_is_told_so() -> None:
    kinesis, orders, time = FakeKinesis(FakeClock().clock), LateNotes(), FakeClock()
    with EventPublisher(
        kinesis.client, "orders", clock=time.clock, wait=uninterrupted_wait(), emit=lambda _: None
    ) as publisher:
        ordering = Ordering(
            orders,
            publisher,
            clock=time.clock,
            emit=lambda _: None,
            answer_within=timedelta(seconds=10),
            wait=orders.pass_time,
        )
        ordering.place(PLACE, customer_id="customer-1", idempotency_key="key-1", traceparent=None)
        won = ordering.perform(CancelOrder(), order_id=ORDER_ID, subject="customer-1", idempotency_key=None)
        assert isinstance(won, Done)
        lost = ordering.perform(
            AcceptOrder(ready_in_minutes=5), order_id=ORDER_ID, subject="restaurant-1", idempotency_key=None
        )
        assert isinstance(lost, WrongState)
    assert [envelope.event_type for envelope in published(kinesis)] == ["order_placed", "order_cancelled"]


class Stuck(FakeOrders):
    """Somebody else writes each order back to what it was."""

    def advance(self, order: Any, *_: Any) -> Any:
        return order


def test_an_order_that_takes_no_event_is_told_and_not_asked_for_ever() -> None:
    kinesis, time = FakeKinesis(FakeClock().clock), FakeClock()
    with EventPublisher(
        kinesis.client, "orders", clock=time.clock, wait=uninterrupted_wait(), emit=lambda _: None
    ) as publisher:
        ordering = Ordering(
            Stuck(), publisher, clock=time.clock, emit=lambda _: None, answer_within=timedelta(seconds=10)
        )
        ordering.place(PLACE, customer_id="customer-1", idempotency_key="key-1", traceparent=None)
        with pytest.raises(RuntimeError, match=rf"order {ORDER_ID} takes no event\. fix: "):
            ordering.perform(
                AcceptOrder(ready_in_minutes=5), order_id=ORDER_ID, subject="restaurant-1", idempotency_key=None
            )
