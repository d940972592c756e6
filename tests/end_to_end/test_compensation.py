"""Orders that come to nothing, through real processes: all hear of it, tickets are withdrawn, the audit is content."""

from collections import Counter
from typing import Any

import httpx
import pytest

from events import OrderCancelled, OrderPlaced, OrderRejected
from foundation.clock import SYSTEM_CLOCK
from producers.assembly import token_key
from producers.load.ledger import LedgerWriter, expected_events
from takeaway.audit.evidence import gather
from takeaway.audit.verdict import audit
from takeaway.stack.flow import api_url
from tests.support.flow import TOLD_AGAIN, Flow, pause, until

pytestmark = pytest.mark.end_to_end

ORDER = {
    "restaurant_id": "restaurant-1",
    "customer_name": "Ada",
    "customer_email": "ada@example.com",
    "city": "Utrecht",
    "currency": "EUR",
    "items": [{"sku": "soup", "name": "Soup", "quantity": 1, "unit_price": 500}],
}
ACCEPT_WITHIN = 5
SHARDS = 1


class Commands:
    """Customers and restaurants by hand, and a ledger of what they were promised."""

    def __init__(self, flow: Flow, ledger: LedgerWriter) -> None:
        self._url = api_url(flow.api_port)
        self._key = token_key(flow.environ)
        self._ledger = ledger

    def post(self, path: str, body: Any, subject: str, role: Any, key: str) -> httpx.Response:
        token = self._key.sign(subject, role, SYSTEM_CLOCK.now().replace(year=2100))
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": key}
        return httpx.post(f"{self._url}{path}", json=body, headers=headers, trust_env=False, timeout=30)

    def place(self, key: str) -> str:
        answer = self.post("/orders", ORDER, "customer-1", "customer", key)
        order_id = str(answer.raise_for_status().json()["order_id"])
        self.promised(OrderPlaced, key, order_id)
        return order_id

    def promised(self, event: Any, key: str, order_id: str) -> None:
        now = SYSTEM_CLOCK.now()
        entries = expected_events(event, key, order_id=order_id, restaurant_id="restaurant-1", intended_at=now)
        self._ledger.acknowledge(entries, now)


def test_whom_an_ended_order_concerns_is_told_and_the_audit_is_content(flow: Flow) -> None:
    flow.start_api(TAKEAWAY_ACCEPT_WITHIN_SECONDS=str(ACCEPT_WITHIN))
    for consumer in ("restaurant_notifier", "user_notifier", "archiver"):
        flow.start_consumer(consumer)
    with LedgerWriter(flow.ledger, "by-hand") as ledger:
        commands = Commands(flow, ledger)
        silent, cancelled, rejected = (commands.place(f"key-{number}") for number in range(3))
        path = f"/orders/{cancelled}/cancel"
        assert commands.post(path, None, "customer-1", "customer", "cancel").json()["state"] == "cancelled"
        commands.promised(OrderCancelled, "cancel", cancelled)
        body = {"reason": "closed"}
        answer = commands.post(f"/orders/{rejected}/reject", body, "restaurant-1", "restaurant", "reject")
        assert answer.json()["state"] == "rejected"
        commands.promised(OrderRejected, "reject", rejected)
        pause(ACCEPT_WITHIN)
        late = commands.post(
            f"/orders/{silent}/accept", {"ready_in_minutes": 5}, "restaurant-1", "restaurant", "accept"
        )
        assert (late.status_code, late.json()["detail"].endswith("; this one is expired.")) == (409, True)

    def told() -> Counter[str]:
        return Counter(effect.kind for effect in gather(flow.environ, flow.ledger).effects)

    until(lambda: told() == {"ticket": 3, "withdrawal": 2, "e-mail": 3}, within=60, every=1)
    until(lambda: audit(gather(flow.environ, flow.ledger)).at_rest, within=60, every=1)
    verdict = flow.look(TOLD_AGAIN)
    assert verdict.ok, verdict.findings
    assert verdict.open_orders == 0
    assert (verdict.orders, verdict.events) == (3, 3 + 3 + 3 + 3 + 2)
