"""The orders API as its tests need it: real publisher and real rules over a Kinesis and a table in memory."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from litestar import Litestar
from litestar.testing import TestClient

from events.envelope import EventEnvelope
from events.orders import Event
from events.timeline import SeenEvent, seen
from events.wire import decode
from foundation.diagnostics import Diagnostic
from producers.orders.tokens import Role, TokenKey
from producers.pages.frame import SignInKey
from producers.pages.orders import Dish, Menu, MenuRestaurant
from producers.publishing.publisher import EventPublisher
from tests.support.fakes.clock import FakeClock
from tests.support.fakes.kinesis import FakeKinesis
from tests.support.fakes.marks import FakeMarks
from tests.support.fakes.orders import FakeOrders
from tests.support.fakes.tracker_table import FakeTrackerTable

KEY = TokenKey(b"a key for tests, of enough bytes!")
MENU = Menu(
    [
        MenuRestaurant(
            "restaurant-1",
            "Chez Ada",
            "Utrecht",
            (Dish("soup", "Soup", "starter", 500), Dish("pizza", "Pizza <b>", "main", 950)),
        )
    ],
    "EUR",
    "Europe/Amsterdam",
)
# What a browser says of a page of this site; the test client calls the site so.
ORIGIN = {"Origin": "http://testserver.local"}


@dataclass
class OrdersApi:
    """The API under test and everything behind it."""

    http: TestClient[Litestar]
    kinesis: FakeKinesis
    orders: FakeOrders
    tracker: FakeTrackerTable
    publisher: EventPublisher
    time: FakeClock
    diagnostics: list[Diagnostic]
    marks: FakeMarks = field(default_factory=FakeMarks)
    body: dict[str, Any] = field(
        default_factory=lambda: {
            "restaurant_id": "restaurant-1",
            "customer_name": "Ada Lovelace",
            "customer_email": "ada@example.com",
            "items": [{"sku": "sku-1", "name": "Margherita", "quantity": 2, "unit_price": 950}],
            "currency": "EUR",
            "city": "Utrecht",
        }
    )

    def token(self, subject: str, role: Role, lasts: timedelta = timedelta(minutes=5)) -> dict[str, str]:
        return {"Authorization": f"Bearer {KEY.sign(subject, role, self.time.now() + lasts)}"}

    @property
    def customer(self) -> dict[str, str]:
        return self.token("customer-1", "customer")

    @property
    def restaurant(self) -> dict[str, str]:
        return self.token("restaurant-1", "restaurant")

    def signed_in(self, subject: str, role: Role) -> dict[str, str]:
        """Signs the browser in by a link, and answers with the headers of what its pages write."""
        link = SignInKey(KEY).link(subject, role, self.time.now())
        answer = self.http.post("/sign-in", data={"link": link}, headers=ORIGIN)
        assert answer.status_code == 200, answer.text
        return ORIGIN | {"X-CSRF-Token": self.http.get(f"/session/{role}").json()["csrf_token"]}

    def placed(self) -> str:
        """A new order's id."""
        answer = self.http.post("/orders", json=self.body, headers=self.customer)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["order_id"])

    def command(self, order_id: str, name: str, body: Any = None, **headers: str) -> Any:
        return self.http.post(f"/orders/{order_id}/{name}", json=body, headers=self.restaurant | headers)

    def stream(self) -> list[EventEnvelope[Event]]:
        return [decode(record.data) for record in self.kinesis.user_records()]


def tracked(api: OrdersApi, order_id: str, *types: str) -> None:
    """The tracker has seen these events of it, each because of the one before."""
    events = [
        SeenEvent(
            event_id=event_type,
            event_type=event_type,
            occurred_at=api.time.now(),
            cause=cause,
            arrived_at=api.time.now(),
            shard="shard-1",
            sequence=str(number + 1),
            restaurant_id=None if number else api.body["restaurant_id"],
        )
        for number, (event_type, cause) in enumerate(zip(types, ("key", *types), strict=False))
    ]
    api.tracker.orders().join(order_id, seen(events))
