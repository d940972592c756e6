"""States of subscribers, on the fake of the tests and on a real DynamoDB API: one event counts once."""

import uuid
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from consumers.assembly import forget_states
from consumers.steps.answers import nothing, outcome_of
from consumers.steps.states import Conflict, DynamoDBStates, States, Stored
from events.orders import VoucherIssued
from foundation.clock import Clock
from tests.conftest import LocalAws
from tests.support.builders import NOON, an_envelope
from tests.support.fakes.states import FakeStates

VOUCHER = VoucherIssued(customer_id="customer-1", voucher_code="code", percent_off=10, completed_orders=5)
FIRST, SECOND = an_envelope(), an_envelope(order_id="order-2")


def dynamodb(local_aws: LocalAws, application: str) -> DynamoDBStates:
    return DynamoDBStates(
        local_aws.client("dynamodb"),
        local_aws.environ["TAKEAWAY_STATES_TABLE"],
        local_aws.environ["TAKEAWAY_OUTCOMES_TABLE"],
        application,
        keep=timedelta(days=30),
        clock=Clock(now=lambda: NOON, monotonic=lambda: 0.0),
        wait=lambda _seconds: False,
    )


@pytest.fixture(params=["fake", pytest.param("dynamodb", marks=pytest.mark.local_aws)])
def states(request: pytest.FixtureRequest) -> States:
    if request.param == "fake":
        return FakeStates()
    return dynamodb(request.getfixturevalue("local_aws"), f"test-{uuid.uuid4()}")


def told(heard: Any, *events: Any) -> Any:
    return outcome_of(heard, events, actor="issuer", at=NOON)


def test_state_and_outcome_come_back(states: States) -> None:
    assert states.get("customer-1") == Stored(None, 0)
    outcome = told(FIRST, VOUCHER)
    assert states.commit("customer-1", 0, b"one", FIRST, outcome) == outcome.data
    assert states.commit("customer-1", 1, b"two", SECOND, told(SECOND)) == nothing("order-2")
    assert states.get("customer-1") == Stored(b"two", 2)
    assert states.get("customer-2") == Stored(None, 0)
    known = states.recall([FIRST, SECOND, an_envelope(order_id="order-3")])
    assert known == {("order-1", FIRST.event_id): outcome.data, ("order-2", SECOND.event_id): nothing("order-2")}


def test_an_event_counts_once_whoever_hears_it_again(states: States) -> None:
    first = told(FIRST, VOUCHER)
    states.commit("customer-1", 0, b"one", FIRST, first)
    assert states.commit("customer-1", 1, b"two", FIRST, told(FIRST)) == first.data
    assert states.commit("customer-1", 0, b"other", FIRST, told(FIRST)) == first.data
    assert states.get("customer-1") == Stored(b"one", 1)


def test_a_state_that_moved_on_since_it_was_read_is_not_written_over(states: States) -> None:
    states.commit("customer-1", 0, b"one", FIRST, told(FIRST))
    for version in (0, 2):
        with pytest.raises(Conflict):
            states.commit("customer-1", version, b"two", SECOND, told(SECOND))
    states.commit("customer-1", 1, b"two", SECOND, told(SECOND))
    third = an_envelope(order_id="order-3")
    with pytest.raises(Conflict):
        states.commit("customer-1", 1, b"three", third, told(third))
    assert states.get("customer-1") == Stored(b"two", 2)
    assert len(states.recall([FIRST, SECOND, an_envelope(order_id="order-3")])) == 2


def test_two_orders_under_one_event_id_both_count(states: States) -> None:
    other = msgspec.structs.replace(FIRST, order_id="order-2")
    states.commit("customer-1", 0, b"one", FIRST, told(FIRST))
    states.commit("customer-1", 1, b"two", other, told(other))
    assert states.get("customer-1") == Stored(b"two", 2)


@pytest.mark.local_aws
def test_what_followed_has_an_end_and_that_it_was_heard_has_none(local_aws: LocalAws) -> None:
    application = f"test-{uuid.uuid4()}"
    store = dynamodb(local_aws, application)
    store.commit("customer-1", 0, b"one", FIRST, told(FIRST, VOUCHER))
    table: Any = local_aws.client("dynamodb")
    pages = table.get_paginator("scan").paginate(TableName=local_aws.environ["TAKEAWAY_OUTCOMES_TABLE"])
    items = [item for page in pages for item in page["Items"] if item["outcome_id"]["S"].startswith(application)]
    [marker] = [item for item in items if set(item) == {"outcome_id"}]
    [followed] = [item for item in items if item is not marker]
    assert int(followed["expires_at"]["N"]) == int((NOON + timedelta(days=30)).timestamp())
    # As DynamoDB's TTL does.
    table.delete_item(
        TableName=local_aws.environ["TAKEAWAY_OUTCOMES_TABLE"], Key={"outcome_id": followed["outcome_id"]}
    )
    assert store.recall([FIRST]) == {("order-1", FIRST.event_id): nothing("order-1")}
    assert store.commit("customer-1", 1, b"two", FIRST, told(FIRST, VOUCHER)) == nothing("order-1")


@pytest.mark.local_aws
def test_a_customers_states_are_forgotten(local_aws: LocalAws) -> None:
    customer = f"customer-{uuid.uuid4()}"
    for name in ("takeaway-promo_issuer", "takeaway-another"):
        dynamodb(local_aws, name).commit(customer, 0, b"one", an_envelope(order_id=customer), told(FIRST))
    environ = {**local_aws.environ, "TAKEAWAY_STACK": "takeaway"}
    assert forget_states(environ, customer) == 1
    assert forget_states(environ, customer) == 0
    assert dynamodb(local_aws, "takeaway-promo_issuer").get(customer) == Stored(None, 0)
    del environ["TAKEAWAY_STATES_TABLE"]
    assert forget_states(environ, customer) == 0
