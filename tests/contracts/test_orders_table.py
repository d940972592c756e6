"""One suite for the orders API's store, in memory and in DynamoDB: conditional, and wise about lost answers."""

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import msgspec
import pytest
from botocore.exceptions import ClientError

from events import encoded
from foundation.clock import uninterrupted_wait
from producers.orders.commands import Order, Performed, perform, place
from producers.orders.requests import (
    AcceptOrder,
    CancelOrder,
    Command,
    CompleteOrder,
    ExpireOrder,
    PlaceOrder,
    RejectOrder,
)
from producers.orders.table import Orders, OrdersTable, OrderVanished, pending_key
from tests.support.builders import NOON, an_order_item
from tests.support.fakes.orders import FakeOrders

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from tests.conftest import LocalAws


LATER = NOON + timedelta(hours=1)
# Longer ago than what any other test leaves pending.
LONG_AGO = datetime(2001, 1, 1, tzinfo=UTC)


class Losing:
    """A real client that loses the answers to its next `times` writes, and repeats them as botocore does."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.times = 0

    def __getattr__(self, name: str) -> Any:
        operation = getattr(self._client, name)
        if name not in {"put_item", "update_item"}:
            return operation

        def losing(**parameters: Any) -> Any:
            answer = operation(**parameters)
            if self.times:
                self.times -= 1
                return operation(**parameters)
            return answer

        return losing


class Counting:
    """A real client that writes down what it was asked for."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        operation = getattr(self._client, name)
        if not name.endswith("_item"):
            return operation

        def counted(**parameters: Any) -> Any:
            self.calls.append(name)
            return operation(**parameters)

        return counted


@pytest.fixture(params=["fake", pytest.param("dynamodb", marks=pytest.mark.local_aws)])
def orders(request: pytest.FixtureRequest) -> Iterator[Orders]:
    if request.param == "fake":
        yield FakeOrders()
        return
    local_aws: LocalAws = request.getfixturevalue("local_aws")
    yield OrdersTable(local_aws.client("dynamodb"), local_aws.environ["TAKEAWAY_ORDERS_TABLE"])


@pytest.fixture
def losing(local_aws: "LocalAws") -> Losing:
    return Losing(local_aws.client("dynamodb"))


@pytest.fixture
def table(losing: Losing, local_aws: "LocalAws") -> OrdersTable:
    return OrdersTable(cast("DynamoDBClient", losing), local_aws.environ["TAKEAWAY_ORDERS_TABLE"])


def an_order(
    key: str | None = None, *, city: str = "Utrecht", accept_within: timedelta | None = None, at: datetime = NOON
) -> Order:
    command = PlaceOrder(
        restaurant_id="restaurant-1",
        customer_name="Zoë Łukasz 名前",
        customer_email="zoe@example.com",
        items=(an_order_item(), an_order_item(sku="sku-2", unit_price=10**9)),
        currency="EUR",
        city=city,
    )
    order = place(
        command,
        customer_id="customer-1",
        idempotency_key=key or str(uuid.uuid4()),
        at=at,
        accept_within=accept_within,
    )
    assert isinstance(order, Order)
    return order


def performed(order: Order, command: Command, key: str = "key", *, at: int = 1) -> Performed[Any]:
    """The command `at` microseconds after the placing, as somebody decided it who did not look at `accept_by`."""
    placing = replace(
        order.placing,
        encoded=encoded(
            msgspec.structs.replace(
                order.placing.envelope,
                event=msgspec.structs.replace(
                    order.placed, accept_by=NOON if isinstance(command, ExpireOrder) else None
                ),
            )
        ),
    )
    subject = {CancelOrder: "customer-1", ExpireOrder: None}.get(type(command), "restaurant-1")
    done = perform(
        command, Order(placing, order.later), subject=subject, idempotency_key=key, at=NOON + timedelta(microseconds=at)
    )
    assert isinstance(done, Performed)
    return done


def test_an_order_comes_back_as_it_went_in(orders: Orders) -> None:
    order = an_order()
    assert orders.create(order) == order
    assert orders.get(order.order_id) == order


def test_an_unknown_order_is_none(orders: Orders) -> None:
    assert orders.get(str(uuid.uuid4())) is None


def test_the_first_creation_stays(orders: Orders) -> None:
    first, second = an_order("one-key"), an_order("one-key", city="Leiden")
    assert first.order_id == second.order_id
    kept = orders.create(first)
    assert orders.create(second) == kept
    assert orders.get(first.order_id) == kept


def test_an_order_advances_and_remembers_its_whole_history(orders: Orders) -> None:
    order = orders.create(an_order())
    accepted = orders.advance(order, performed(order, AcceptOrder(ready_in_minutes=20)))
    completed = orders.advance(accepted, performed(accepted, CompleteOrder()))
    assert completed.state == "completed"
    assert len(completed.history) == 3
    assert orders.get(order.order_id) == completed


def test_of_two_commands_from_one_state_the_first_counts(orders: Orders) -> None:
    order = orders.create(an_order())
    accepted = orders.advance(order, performed(order, AcceptOrder(ready_in_minutes=20)))
    assert orders.advance(order, performed(order, RejectOrder(reason="closed"))) == accepted
    assert orders.get(order.order_id) == accepted


@pytest.mark.parametrize("command", [AcceptOrder(ready_in_minutes=5), RejectOrder(reason="closed"), CancelOrder()])
def test_the_write_itself_judges_what_comes_too_late_and_too_early(orders: Orders, command: Command) -> None:
    """Whatever decided so: another process' clock, or another release."""
    order = orders.create(an_order(accept_within=timedelta(microseconds=2)))
    late, early = performed(order, command, at=2), performed(order, ExpireOrder(), at=1)
    assert orders.advance(order, late) == order
    assert orders.advance(order, early) == order
    expired = orders.advance(order, performed(order, ExpireOrder(), at=2))
    assert (expired.state, orders.get(order.order_id)) == ("expired", expired)
    other = orders.create(an_order(accept_within=timedelta(microseconds=2)))
    answered = orders.advance(other, performed(other, command, at=1))
    assert len(answered.later) == 1
    assert orders.advance(other, performed(other, ExpireOrder(), at=2)) == answered


def test_an_order_without_accept_by_takes_any_answer_and_no_expiry(orders: Orders) -> None:
    order = orders.create(an_order())
    if isinstance(orders, OrdersTable):
        assert orders.advance(order, performed(order, ExpireOrder(), at=10**15)) == order
    accepted = orders.advance(order, performed(order, AcceptOrder(ready_in_minutes=5), at=10**15))
    assert accepted.state == "accepted"


def test_of_answer_cancellation_and_expiry_at_once_one_counts_and_all_learn_it(orders: Orders) -> None:
    order = orders.create(an_order(accept_within=timedelta(microseconds=2)))
    in_time = (AcceptOrder(ready_in_minutes=5), RejectOrder(reason="closed"), CancelOrder())
    rivals = [*(performed(order, command, at=1) for command in in_time), performed(order, ExpireOrder(), at=2)]
    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(lambda rival: orders.advance(order, rival), rivals * 2))
    assert all(outcome == outcomes[0] for outcome in outcomes)
    assert outcomes[0].later[0] in rivals
    assert len(outcomes[0].later) == 1


def test_in_a_race_everybody_learns_the_one_winner(orders: Orders) -> None:
    order = orders.create(an_order())
    rivals = [performed(order, AcceptOrder(ready_in_minutes=minutes), f"key-{minutes}") for minutes in range(1, 9)]
    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(lambda rival: orders.advance(order, rival), rivals))
    assert all(outcome == outcomes[0] for outcome in outcomes)
    assert len(outcomes[0].later) == 1


def acknowledged(orders: Orders, order: Order) -> list[bool]:
    stored = orders.get(order.order_id)
    assert stored
    return [each.acknowledged for each in stored.history]


def test_an_acknowledgement_is_noted_where_it_belongs_and_stays(orders: Orders) -> None:
    order = orders.create(an_order())
    accepted = orders.advance(order, performed(order, AcceptOrder(ready_in_minutes=20)))
    assert acknowledged(orders, order) == [False, False]
    for _ in range(2):
        orders.note_acknowledged(accepted, accepted.later[0])
        assert acknowledged(orders, order) == [False, True]
    completed = orders.advance(accepted, performed(accepted, CompleteOrder()))
    orders.note_acknowledged(order, order.placing)
    assert acknowledged(orders, order) == [True, True, False]
    orders.note_acknowledged(completed, completed.later[1])
    assert acknowledged(orders, order) == [True, True, True]


def test_a_note_changes_nothing_else(orders: Orders) -> None:
    order = orders.create(an_order())
    orders.note_acknowledged(order, order.placing)
    assert orders.get(order.order_id) == Order(replace(order.placing, acknowledged=True))


def test_a_repeated_creation_learns_what_is_acknowledged(orders: Orders) -> None:
    order = orders.create(an_order("a-key-of-its-own"))
    orders.note_acknowledged(order, order.placing)
    assert orders.create(an_order("a-key-of-its-own")).placing.acknowledged


def test_notes_and_commands_at_the_same_time_lose_nothing(orders: Orders) -> None:
    order = orders.create(an_order())
    with ThreadPoolExecutor(8) as pool:
        notes = [pool.submit(orders.note_acknowledged, order, order.placing) for _ in range(7)]
        advanced = pool.submit(orders.advance, order, performed(order, AcceptOrder(ready_in_minutes=20)))
    for note in notes:
        note.result()
    assert advanced.result().state == "accepted"
    assert acknowledged(orders, order) == [True, False]


def is_pending(orders: Orders, order: Order, expected: bool, *, before: datetime = LATER) -> bool:
    """Whether the index has it. The index may be a moment behind."""
    wait = uninterrupted_wait()
    for _ in range(50):
        found = order.order_id in orders.pending(pending_key(order.order_id), before, 1000)
        if found == expected:
            break
        wait(0.1)
    return found


def test_an_order_is_pending_from_its_placing_until_that_is_noted(orders: Orders) -> None:
    order = orders.create(an_order())
    assert is_pending(orders, order, True)
    assert not is_pending(orders, order, False, before=NOON)
    assert orders.note_acknowledged(order, order.placing).is_acknowledged
    assert not is_pending(orders, order, False)


def test_a_command_makes_its_order_pending_again(orders: Orders) -> None:
    order = orders.create(an_order())
    order = orders.note_acknowledged(order, order.placing)
    accepted = orders.advance(order, performed(order, AcceptOrder(ready_in_minutes=20)))
    assert is_pending(orders, order, True)
    # Since that, not since the placing.
    assert not is_pending(orders, order, False, before=NOON + timedelta(microseconds=1))
    orders.note_acknowledged(accepted, accepted.later[0])
    assert not is_pending(orders, order, False)


def test_an_order_has_been_pending_since_its_oldest_event(orders: Orders) -> None:
    order = orders.create(an_order())
    orders.advance(order, performed(order, AcceptOrder(ready_in_minutes=20)))
    assert is_pending(orders, order, True, before=NOON + timedelta(microseconds=1))


def test_a_note_leaves_pending_what_it_has_not_seen(orders: Orders) -> None:
    order = orders.create(an_order())
    accepted = orders.advance(order, performed(order, AcceptOrder(ready_in_minutes=20)))
    orders.note_acknowledged(order, order.placing)
    assert acknowledged(orders, order) == [True, False]
    assert is_pending(orders, order, True)
    orders.note_acknowledged(orders.get(order.order_id) or order, accepted.later[0])
    assert not is_pending(orders, order, False)


def test_an_order_whose_earlier_event_nobody_noted_stays_pending(orders: Orders) -> None:
    order = orders.create(an_order())
    accepted = orders.advance(order, performed(order, AcceptOrder(ready_in_minutes=20)))
    believed = accepted.acknowledging(accepted.placing)
    orders.note_acknowledged(believed, accepted.later[0])
    assert acknowledged(orders, order) == [False, True]
    assert is_pending(orders, order, True)
    assert not orders.settle(believed.acknowledging(accepted.later[0]))
    assert is_pending(orders, order, True)


def test_what_was_noted_by_those_who_did_not_see_the_whole_is_settled(orders: Orders) -> None:
    order = orders.create(an_order())
    accepted = orders.advance(order, performed(order, AcceptOrder(ready_in_minutes=20)))
    orders.note_acknowledged(order, order.placing)
    orders.note_acknowledged(accepted, accepted.later[0])
    assert acknowledged(orders, order) == [True, True]
    assert is_pending(orders, order, True)
    stored = orders.get(order.order_id)
    assert stored
    assert not orders.settle(accepted)
    assert not orders.settle(Order(stored.placing))
    for _ in range(2):
        assert orders.settle(stored)
    assert not is_pending(orders, order, False)
    assert orders.get(order.order_id) == stored


def test_of_all_that_is_pending_the_longest_comes_first_and_no_more_than_asked_for(orders: Orders) -> None:
    order = orders.create(an_order(at=LONG_AGO))
    key, longest_first = pending_key(order.order_id), [order.order_id]
    while len(longest_first) < 3:
        older = an_order(at=LONG_AGO - timedelta(minutes=len(longest_first)))
        if pending_key(older.order_id) == key:
            longest_first.insert(0, orders.create(older).order_id)
            assert is_pending(orders, older, True)
    until = LONG_AGO + timedelta(minutes=1)
    assert list(orders.pending(key, until, 2)) == longest_first[:2]
    assert list(orders.pending(key, until, 100)) == longest_first


@pytest.mark.local_aws
def test_what_goes_as_it_should_is_noted_and_settled_by_one_write(local_aws: "LocalAws") -> None:
    counted = Counting(local_aws.client("dynamodb"))
    table = OrdersTable(cast("DynamoDBClient", counted), local_aws.environ["TAKEAWAY_ORDERS_TABLE"])
    order = table.create(an_order())
    order = table.note_acknowledged(order, order.placing)
    accepted = table.advance(order, performed(order, AcceptOrder(ready_in_minutes=20)))
    table.note_acknowledged(accepted, accepted.later[0])
    assert counted.calls == ["put_item", "update_item", "update_item", "update_item"]
    assert not is_pending(table, order, False)


@pytest.mark.local_aws
def test_an_item_of_an_older_release_is_pending_from_its_next_command_on(local_aws: "LocalAws") -> None:
    client = local_aws.client("dynamodb")
    name = local_aws.environ["TAKEAWAY_ORDERS_TABLE"]
    table = OrdersTable(client, name)
    order = table.create(an_order())
    client.update_item(
        TableName=name,
        Key={"order_id": {"S": order.order_id}},
        UpdateExpression="REMOVE pending_key, pending_since",
    )
    assert not is_pending(table, order, False)
    assert table.get(order.order_id) == order
    table.advance(order, performed(order, AcceptOrder(ready_in_minutes=20)))
    assert is_pending(table, order, True)


@pytest.mark.local_aws
def test_a_creation_whose_answer_was_lost_is_a_creation(table: OrdersTable, losing: Losing) -> None:
    losing.times = 1
    order = an_order()
    assert table.create(order) == order


@pytest.mark.local_aws
def test_an_advance_whose_answer_was_lost_happened_once(table: OrdersTable, losing: Losing) -> None:
    order = table.create(an_order())
    losing.times = 1
    accepted = table.advance(order, performed(order, AcceptOrder(ready_in_minutes=20)))
    assert accepted.state == "accepted"
    assert len(accepted.later) == 1


@pytest.mark.local_aws
def test_an_item_deleted_under_our_hands_is_told(table: OrdersTable) -> None:
    order = an_order()
    with pytest.raises(OrderVanished, match=rf"{order.order_id} .* fix: "):
        table.advance(order, performed(order, AcceptOrder(ready_in_minutes=20)))


@pytest.mark.local_aws
def test_a_note_on_an_item_that_was_deleted_brings_none_back(table: OrdersTable) -> None:
    order = an_order()
    with pytest.raises(ClientError):
        table.note_acknowledged(order, order.placing)
    assert table.get(order.order_id) is None
