"""A customer's orders in the table, found and removed; on a local AWS and in the fake alike."""

import uuid
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, cast

import pytest

from events import OrderPlaced
from foundation.clock import uninterrupted_wait
from producers.assembly import orders_table
from producers.orders.commands import Order, Performed, place
from producers.orders.table import OrdersTable
from tests.producers.orders.test_commands import ACCEPT, COMPLETE, PLACE, REJECT, an_order, done
from tests.support.builders import NOON
from tests.support.fakes.orders import FakeOrders

if TYPE_CHECKING:
    from tests.conftest import LocalAws


@pytest.fixture(params=["fake", pytest.param("table", marks=pytest.mark.local_aws)])
def orders(request: pytest.FixtureRequest) -> "FakeOrders | OrdersTable":
    if request.param == "fake":
        return FakeOrders()
    local_aws: LocalAws = request.getfixturevalue("local_aws")
    return orders_table(local_aws.environ)


def stored(orders: "FakeOrders | OrdersTable", customer_id: str, key: str) -> Order:
    order = place(PLACE, customer_id=customer_id, idempotency_key=key, at=NOON)
    assert isinstance(order, Order)
    return orders.create(order)


def of(orders: "FakeOrders | OrdersTable", customer_id: str, count: int) -> set[str]:
    """The index may be a moment behind."""
    wait = uninterrupted_wait()
    for _ in range(50):
        found = {order.order_id for order in orders.of_customer(customer_id)}
        if len(found) == count:
            break
        wait(0.1)
    return found


def test_a_customers_orders_are_found_and_nobody_elses(orders: "FakeOrders | OrdersTable") -> None:
    ada, bob = (f"customer-{uuid.uuid4()}" for _ in range(2))
    mine = {stored(orders, ada, key).order_id for key in ("key-1", "key-2")}
    his = stored(orders, bob, "key-1")
    assert of(orders, ada, 2) == mine
    assert of(orders, bob, 1) == {his.order_id}
    assert of(orders, f"customer-{uuid.uuid4()}", 0) == set()


def test_an_order_is_removed_as_it_was_read_and_a_second_time(orders: "FakeOrders | OrdersTable") -> None:
    order = stored(orders, f"customer-{uuid.uuid4()}", "key-1")
    accepted = done(ACCEPT, order)
    assert isinstance(accepted, Performed)
    advanced = orders.advance(order, accepted)
    assert not orders.remove(order)
    assert orders.get(order.order_id) == advanced
    assert orders.remove(advanced)
    assert orders.get(order.order_id) is None
    assert orders.remove(advanced)
    assert of(orders, order.placed.customer_id, 0) == set()


def acknowledged(order: Order) -> Order:
    placing, *later = (replace(performed, acknowledged=True) for performed in order.history)
    return Order(cast("Performed[OrderPlaced]", placing), tuple(later))


@pytest.mark.parametrize(
    ("order", "days", "is_over"),
    [
        (acknowledged(an_order()), 1, False),
        (acknowledged(an_order(ACCEPT)), 1, False),
        (acknowledged(an_order(ACCEPT, COMPLETE)), 1, True),
        (acknowledged(an_order(REJECT)), 1, True),
        (an_order(REJECT), 1, False),
        (an_order(ACCEPT, COMPLETE), 14, False),
        (an_order(), 15, True),
        (an_order(ACCEPT), 15, True),
        (an_order(REJECT), 15, True),
    ],
)
def test_an_order_is_over_when_it_ended_on_the_stream_or_was_left_alone(order: Order, days: int, is_over: bool) -> None:
    assert order.is_over(NOON + timedelta(days=days)) is is_over
