"""`takeaway trace` beside a real flow: archived, seconds old, doubled, tried again, set apart, unknown; and no customer
is named.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from foundation import aws
from takeaway.audit.stream import retained_records
from takeaway.stack.flow import api_url, token
from tests.support.flow import Flow, until
from tests.support.proxy import Answer, Request, proxy

pytestmark = pytest.mark.end_to_end

CUSTOMER = {"customer_name": "Ada Lovelace", "customer_email": "ada@example.com"}
ORDER = {
    **CUSTOMER,
    "restaurant_id": "restaurant-1",
    "items": [{"sku": "sku-1", "name": "Margherita", "quantity": 1, "unit_price": 900}],
    "currency": "EUR",
    "city": "Utrecht",
}


def run(flow: Flow, *arguments: str, code: int = 0) -> str:
    done = subprocess.run(  # noqa: S603 - our own arguments
        [sys.executable, "-m", "takeaway.cli", *arguments],
        env={**flow.environ, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    told = done.stdout + done.stderr
    assert done.returncode == code, told
    # Of whatever state an order is in, no name and no address.
    assert not any(secret in told for secret in CUSTOMER.values()), told
    return told if code else done.stdout


def traced(flow: Flow, order_id: str) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads(run(flow, "trace", order_id, "--json"))
    return facts


def where(facts: dict[str, Any]) -> dict[str, str]:
    return {event["event_type"]: event["where"] for event in facts["events"]}


def command(flow: Flow, path: str, body: object, subject: str, role: str) -> dict[str, Any]:
    authorization = f"Bearer {token(flow.environ['TAKEAWAY_TOKEN_KEY'], subject, role)}"  # type: ignore[arg-type]
    url = f"{api_url(flow.api_port)}/orders{path}"
    answer = httpx.post(url, json=body, headers={"Authorization": authorization}, timeout=30, trust_env=False)
    answered: dict[str, Any] = answer.raise_for_status().json()
    return answered


def placed(flow: Flow) -> str:
    return str(command(flow, "", ORDER, "customer-1", "customer")["order_id"])


def put(flow: Flow, order_id: str, data: bytes) -> None:
    kinesis = aws.client("kinesis", flow.environ)
    kinesis.put_record(StreamName=flow.environ["TAKEAWAY_STREAM"], PartitionKey=order_id, Data=data)


# A code that botocore does not try again by itself; the words quote the customer.
PAUSED = (
    "<ErrorResponse><Error><Code>AccountSendingPausedException</Code><Message>to ada@example.com</Message></Error>"
    "<RequestId>1</RequestId></ErrorResponse>"
)


class TakesTheThird:
    """An SES that refuses the first two mails."""

    refused = 0

    def behave(self, request: Request, forward: Callable[[], Answer]) -> Answer | None:
        if self.refused < 2 and b"Action=SendEmail" in request.body:
            self.refused += 1
            return Answer(400, (("Content-Type", "text/xml"),), PAUSED.encode())
        return forward()


@pytest.mark.long
@pytest.mark.timeout(400)
def test_one_order_through_all_that_may_become_of_it(flow: Flow) -> None:
    with proxy(flow.environ["AWS_ENDPOINT_URL"], TakesTheThird().behave) as through:
        # What is asked here is asked while the order waits, however slow the machine is.
        flow.start_api(TAKEAWAY_ACCEPT_WITHIN_SECONDS="300")
        flow.start_consumer("restaurant_notifier")
        flow.start_consumer("user_notifier", AWS_ENDPOINT_URL=through)
        all_that_may_become_of_it(flow)
        assert flow.stop("user_notifier") == 0


def all_that_may_become_of_it(flow: Flow) -> None:
    order = placed(flow)
    # Before there is a lake.
    begun = until(lambda: len((facts := traced(flow, order))["events"]) == 2 and facts, every=1)
    assert set(where(begun).values()) == {"stream"}
    assert begun["looked"]["lake_version"] is None
    flow.start_consumer("archiver")
    archived = until(lambda: where(facts := traced(flow, order)) == NOTIFIED_IN_LAKE and facts, within=90, every=1)
    due, _expiry = archived["next"]
    assert (due["who"], due["owner"], due["overdue"]) == ("restaurant", "restaurants", False)
    (effect,) = archived["events"][1]["effects"]
    assert (effect["consumer"], effect["channel"]) == ("restaurant_notifier", "sns")
    assert archived["looked"]["whole"] is True

    # What the archiver has not read yet is there, seconds after it happened.
    assert flow.stop("archiver") == 0
    command(flow, f"/{order}/accept", {"ready_in_minutes": 20}, "restaurant-1", "restaurant")
    until(lambda: "user_notified" in where(traced(flow, order)), every=1)
    (mail,) = next(one for one in traced(flow, order)["events"] if one["event_type"] == "user_notified")["effects"]
    assert (mail["attempts"], mail["last_failure"]) == (3, REFUSED)
    assert f"after 3 attempts: {REFUSED}" in " ".join(run(flow, "trace", order).split())
    command(flow, f"/{order}/complete", {}, "restaurant-1", "restaurant")
    fresh = traced(flow, order)
    assert where(fresh) == NOTIFIED_IN_LAKE | dict.fromkeys(
        ("order_accepted", "user_notified", "order_completed"), "stream"
    )
    assert (fresh["ended_by"], fresh["next"]) == ("order_completed", [])
    assert fresh["events"][3]["because_of"] == "order_accepted"
    young = placed(flow)
    assert where(traced(flow, young))["order_placed"] == "stream"

    # Published once more, and dropped by the archiver; and a record of the young order that is no event.
    first = next(record.data for _, record in retained_records(flow.environ) if order.encode() in record.data)
    put(flow, order, first)
    poison = {"event_type": "order_accepted", "schema_version": 1, "order_id": young, **CUSTOMER}
    put(flow, young, json.dumps(poison).encode())
    assert traced(flow, order)["events"][0]["repeats"][0]["dropped"] is False
    flow.start_consumer("archiver")
    doubled = until(lambda: set(where(facts := traced(flow, order)).values()) == {"lake"} and facts, within=90, every=1)
    (repeat,) = until(lambda: [one for one in traced(flow, order)["events"][0]["repeats"] if one["dropped"]], every=1)
    assert repeat["shard"] == doubled["events"][0]["shard"]

    apart = until(lambda: len((facts := traced(flow, young))["dead_letters"]) == 3 and facts, within=90, every=1)
    assert {letter["consumer"] for letter in apart["dead_letters"]} == {*ALL_THREE}
    (bad,) = apart["unreadable"]
    assert {letter["sequence_number"] for letter in apart["dead_letters"]} == {bad["sequence_number"]}
    shown = run(flow, "dlq", "show", apart["dead_letters"][0]["show"])
    assert young in shown
    in_words = run(flow, "trace", young)
    assert max(map(len, in_words.splitlines())) <= 80
    assert "3 dead letters" in in_words

    told = run(flow, "trace", "order-of-nobody", code=2)
    assert "there is no event of order 'order-of-nobody'" in told
    assert "fix: " in told


REFUSED = "Unavailable: SendEmail answered AccountSendingPausedException"
NOTIFIED_IN_LAKE = {"order_placed": "lake", "restaurant_notified": "lake"}
ALL_THREE = ("archiver", "restaurant_notifier", "user_notifier")
