"""The orders API for every test of the producers."""

from collections.abc import Iterator

import pytest
from litestar.testing import TestClient

from foundation.diagnostics import Diagnostic
from producers.orders.api import create_app
from producers.publishing.publisher import EventPublisher
from tests.support.fakes.clock import FakeClock
from tests.support.fakes.kinesis import FakeKinesis
from tests.support.fakes.orders import FakeOrders
from tests.support.worlds.orders_api import KEY, OrdersApi


@pytest.fixture
def api() -> Iterator[OrdersApi]:
    time = FakeClock()
    kinesis, orders = FakeKinesis(time.clock), FakeOrders()
    diagnostics: list[Diagnostic] = []
    publisher = EventPublisher(kinesis.client, "orders", clock=time.clock, wait=time.wait, emit=diagnostics.append)
    app = create_app(orders, publisher, KEY, time.clock, diagnostics.append)
    with publisher, TestClient(app) as http:
        yield OrdersApi(http, kinesis, orders, publisher, time, diagnostics)
