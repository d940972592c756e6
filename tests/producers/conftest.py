"""The orders API for every test of the producers."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, cast

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from foundation.clock import Clock
from foundation.diagnostics import Diagnostic
from producers.api.app import create_app
from producers.api.streams import StreamLimits
from producers.orders.table import Orders
from producers.pages.frame import Pages, SignInKey, frame
from producers.pages.orders import left, order_pages
from producers.publishing.publisher import EventPublisher
from producers.tracking import TrackedOrders
from tests.support.fakes.clock import FakeClock
from tests.support.fakes.kinesis import FakeKinesis
from tests.support.fakes.marks import FakeMarks
from tests.support.fakes.orders import FakeOrders
from tests.support.fakes.tracker_table import FakeTrackerTable
from tests.support.worlds.orders_api import KEY, MENU, OrdersApi


class Standin:
    """What the running test has."""

    def __init__(self, kind: type) -> None:
        self._kind = kind
        self.actual: Any = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.actual, name)

    @property  # type: ignore[misc]  # of `object` it may be written, too
    def __class__(self) -> Any:
        """Litestar refuses to inject what is not of the type that is asked for."""
        return self._kind


class App:
    """One application for all tests: its routes take longer to make than a test takes."""

    def __init__(self) -> None:
        self._orders, self._publisher, self._clock = Standin(FakeOrders), Standin(EventPublisher), Standin(Clock)
        self._diagnostics, self._tracked = Standin(list), Standin(TrackedOrders)
        self._marks = Standin(FakeMarks)
        pages = Pages(SignInKey(KEY), cast("Clock", self._clock))
        marks = cast("FakeMarks", self._marks)
        self._litestar = create_app(
            cast("Orders", self._orders),
            cast("TrackedOrders", self._tracked),
            cast("EventPublisher", self._publisher),
            KEY,
            cast("Clock", self._clock),
            self._emit,
            # A stream says what there is, and ends.
            stream_limits=StreamLimits(longest=timedelta(0)),
            additions=[
                frame(pages, marks, self._emit, leaving=left(marks)),
                order_pages(MENU, marks)(pages, self._emit),
            ],
        )

    def _emit(self, diagnostic: Diagnostic) -> None:
        self._diagnostics.append(diagnostic)

    def over(
        self,
        orders: FakeOrders,
        tracked: TrackedOrders,
        publisher: EventPublisher,
        time: FakeClock,
        diagnostics: list[Diagnostic],
        marks: FakeMarks,
    ) -> Litestar:
        self._orders.actual, self._publisher.actual, self._clock.actual = orders, publisher, time.clock
        self._diagnostics.actual, self._tracked.actual = diagnostics, tracked
        self._marks.actual = marks
        return self._litestar


@pytest.fixture(scope="session")
def app() -> App:
    return App()


@pytest.fixture
def api(app: App) -> Iterator[OrdersApi]:
    time = FakeClock()
    kinesis, orders, tracker = FakeKinesis(time.clock), FakeOrders(), FakeTrackerTable()
    diagnostics: list[Diagnostic] = []
    marks = FakeMarks()
    publisher = EventPublisher(kinesis.client, "orders", clock=time.clock, wait=time.wait, emit=diagnostics.append)
    with publisher, TestClient(app.over(orders, tracker.orders(), publisher, time, diagnostics, marks)) as http:
        yield OrdersApi(http, kinesis, orders, tracker, publisher, time, diagnostics, marks)
