"""docs/journey.md is true: one order makes the journey on a real local AWS; its functions are called in that order."""

import re
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest
from litestar.testing import TestClient

from analytics.lake import Lake, NoLake
from consumers.assembly import worker
from foundation.clock import SYSTEM_CLOCK
from producers.assembly import orders_api, token_key
from takeaway.stack import deployment
from tests.conftest import LocalAws
from tests.support import ROOT

pytestmark = pytest.mark.local_aws

JOURNEY = ROOT / "docs" / "journey.md"
OURS = ("producers.", "consumers.", "analytics.", "events.", "foundation.")


@pytest.fixture
def calls() -> Iterator[list[str]]:
    """The qualified names of our functions, in the order in which they are called, on any thread."""
    called: list[str] = []

    def profile(frame: FrameType, event: str, _: object) -> None:
        module = frame.f_globals.get("__name__", "")
        if event == "call" and module.startswith(OURS):
            called.append(f"{module}.{frame.f_code.co_qualname}")

    threading.setprofile(profile)
    sys.setprofile(profile)
    yield called
    sys.setprofile(None)
    threading.setprofile(None)


@contextmanager
def at_work(consumer: str, environ: dict[str, str]) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=worker(consumer, environ, lambda _: None).run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(30)


def until(found: Callable[[], Any]) -> Any:
    pause = threading.Event()
    for _ in range(200):
        if answer := found():
            return answer
        pause.wait(0.1)
    raise AssertionError("it never came")


def rows(environ: dict[str, str]) -> list[dict[str, Any]]:
    try:
        found: list[dict[str, Any]] = Lake.from_environment(environ).sql("select event_type from events").to_pylist()
    except NoLake:
        return []
    return found


def test_the_journey_as_it_is_told(local_aws: LocalAws, calls: list[str]) -> None:
    environ = {name: value for name, value in local_aws.environ.items() if not name.startswith("TAKEAWAY_")}
    environ |= {"TAKEAWAY_STACK": f"journey-{uuid.uuid4().hex[:8]}", "TAKEAWAY_TOKEN_KEY": "k" * 64}
    environ |= deployment.deploy(environ, shards=1)
    environ |= {"TAKEAWAY_LAKE_FILE_AGE": "1", "TAKEAWAY_READS_PER_SECOND": "5"}
    environ |= {"TAKEAWAY_ARCHIVER_READS_PER_SECOND": "5"}

    def headers(subject: str, role: Any) -> dict[str, str]:
        expires_at = SYSTEM_CLOCK.now().replace(year=2100)
        return {"Authorization": f"Bearer {token_key(environ).sign(subject, role, expires_at)}"}

    order = {
        "restaurant_id": "restaurant-1",
        "customer_name": "Ada",
        "customer_email": "ada@example.com",
        "city": "Utrecht",
        "currency": "EUR",
        "items": [{"sku": "soup", "name": "Soup", "quantity": 1, "unit_price": 500}],
    }
    kitchen = headers("restaurant-1", "restaurant")
    with TestClient(orders_api(environ, lambda _: None)) as api:
        placed = api.post("/orders", json=order, headers=headers("customer-1", "customer"))
        assert placed.status_code == 201, placed.text
        path = f"/orders/{placed.json()['order_id']}"
        with at_work("restaurant_notifier", environ):
            until(lambda: any(call.endswith("LeaseTable.checkpoint") for call in calls))
        assert api.post(f"{path}/accept", json={"ready_in_minutes": 20}, headers=kitchen).is_success
        with at_work("user_notifier", environ):
            until(lambda: any(call.endswith("Mail.send") for call in calls))
            until(lambda: len([call for call in calls if call.endswith("LeaseTable.checkpoint")]) > 1)
        assert api.post(f"{path}/complete", json={}, headers=kitchen).is_success
        with at_work("archiver", environ):
            until(lambda: len(rows(environ)) == 5)
            # The tracker, in the same process, notes one more event: that the customer knows that the food is ready.
            with at_work("user_notifier", environ):
                until(lambda: len(rows(environ)) == 6)
        customer = headers("customer-1", "customer")
        assert len(api.get(path, headers=customer).json()["timeline"]) == 6
    rows(environ)

    told = re.findall(r"^1\. `([\w.]+)`", JOURNEY.read_text(), re.MULTILINE)
    assert len(told) > 40
    remaining = iter(calls)
    for function in told:
        assert function in remaining, f"{function} is not called after what docs/journey.md tells before it"
