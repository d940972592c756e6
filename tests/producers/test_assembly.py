"""The producers as an environment puts them together, on a local AWS; and what is said when it lacks something."""

import subprocess
import sys
import threading
import uuid
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec
import pytest
from litestar.testing import TestClient

from events.wire import decode
from foundation.clock import SYSTEM_CLOCK, uninterrupted_wait
from foundation.diagnostics import Diagnostic
from foundation.settings import SettingsError
from producers.api.asgi import Answered
from producers.assembly import event_publisher, orders_api, orders_table, token_key
from producers.orders import Order, PlaceOrder, place
from producers.orders.diagnostics import Relayed
from producers.settings import OrdersApiSettings, PublisherSettings
from tests.support.builders import an_envelope

if TYPE_CHECKING:
    from tests.conftest import LocalAws

SECRET = "a secret that only this test knows!"
BODY = {
    "restaurant_id": "restaurant-1",
    "customer_name": "Ada Lovelace",
    "customer_email": "ada@example.com",
    "items": [{"sku": "sku-1", "name": "Margherita", "quantity": 2, "unit_price": 950}],
    "currency": "EUR",
    "city": "Utrecht",
}


@pytest.mark.local_aws
def test_an_order_reaches_the_stream_and_the_table(local_aws: "LocalAws") -> None:
    environ = local_aws.environ | {"TAKEAWAY_TOKEN_KEY": SECRET}
    diagnostics: list[Diagnostic] = []
    token = token_key(environ).sign(str(uuid.uuid4()), "customer", SYSTEM_CLOCK.now() + timedelta(minutes=5))
    with TestClient(orders_api(environ, diagnostics.append)) as http:
        answer = http.post("/orders", json=BODY, headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 201, answer.text
        assert http.get("/health").status_code == 200
    order = orders_table(environ).get(answer.json()["order_id"])
    assert order is not None
    assert order.placing.envelope.event_id == answer.json()["event_id"]
    # What other tests left in the table may be relayed meanwhile.
    assert [one for one in diagnostics if not isinstance(one, Answered | Relayed)] == []


@pytest.mark.local_aws
def test_what_a_process_left_in_the_table_is_relayed_by_an_api_while_it_runs(local_aws: "LocalAws") -> None:
    environ = local_aws.environ | {"TAKEAWAY_TOKEN_KEY": SECRET}
    placed = place(
        msgspec.convert(BODY, PlaceOrder),
        customer_id="customer-1",
        idempotency_key=str(uuid.uuid4()),
        at=SYSTEM_CLOCK.now() - timedelta(minutes=1),
    )
    assert isinstance(placed, Order)
    orders, wait = orders_table(environ), uninterrupted_wait()
    orders.create(placed)
    diagnostics: list[Diagnostic] = []
    with TestClient(orders_api(environ, diagnostics.append)):
        for _ in range(200):
            if Relayed(placed.order_id, 1) in diagnostics:
                break
            wait(0.1)
    assert Relayed(placed.order_id, 1) in diagnostics
    stored = orders.get(placed.order_id)
    assert stored
    assert stored.is_acknowledged
    assert "relay" not in [thread.name for thread in threading.enumerate()]


@pytest.mark.local_aws
def test_a_publisher_knows_its_stream(local_aws: "LocalAws") -> None:
    kinesis = local_aws.client("kinesis")
    stream = f"wiring-{uuid.uuid4()}"
    kinesis.create_stream(StreamName=stream, ShardCount=1)
    kinesis.get_waiter("stream_exists").wait(StreamName=stream, WaiterConfig={"Delay": 1})
    with event_publisher(local_aws.environ | {"TAKEAWAY_STREAM": stream}, lambda _: None) as publisher:
        published = publisher.publish(an_envelope()).result(30)
    iterator = kinesis.get_shard_iterator(
        StreamName=stream, ShardId=published.shard_id, ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    [record] = kinesis.get_records(ShardIterator=iterator)["Records"]
    assert decode(record["Data"]) == an_envelope()
    kinesis.delete_stream(StreamName=stream)


@pytest.mark.parametrize("key", ["", "too short"])
def test_a_token_key_has_no_default_and_a_least_length(key: str) -> None:
    with pytest.raises(SettingsError, match="TAKEAWAY_TOKEN_KEY") as told:
        token_key({"TAKEAWAY_TOKEN_KEY": key})
    assert "too short" not in str(told.value)


def test_a_token_key_of_multibyte_characters_is_a_key() -> None:
    assert len(token_key({"TAKEAWAY_TOKEN_KEY": "é" * 32}).secret) == 64


def test_settings_become_durations() -> None:
    assert PublisherSettings("orders", deliver_within_seconds=7).deliver_within == timedelta(seconds=7)
    assert OrdersApiSettings("orders", answer_within_seconds=3).answer_within == timedelta(seconds=3)


@pytest.mark.slow
def test_a_consumer_that_publishes_loads_no_web_framework() -> None:
    script = "import sys, producers.assembly; print([name for name in ('litestar', 'httpx') if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)  # noqa: S603
    assert found.stdout.strip() == "[]"
