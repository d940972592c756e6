"""Promo codes added to a system that has run for long: history once, then the stream, whatever is killed in between."""

import random
from collections import Counter
from typing import Any

import pytest

from consumers.subscribers.promo_issuer import EVERY
from events.envelope import first
from events.orders import OrderCompleted, VoucherIssued
from events.wire import decode, encoded
from foundation.diagnostics import json_lines
from producers.assembly import event_publisher
from takeaway.audit.effects import mail_effects
from takeaway.audit.lake import lake_rows
from takeaway.audit.stream import retained_records
from takeaway.local import backends
from tests.conftest import the_backend
from tests.support.builders import NOON
from tests.support.flow import Flow, until

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(300)]

# LocalStack takes a tenth of a second for each transaction.
ORDERS, CUSTOMERS, LATER = (5_000, 600, 300) if the_backend() is backends.EMBEDDED else (600, 60, 100)


def completed(number: int, customer: int) -> Any:
    event = OrderCompleted(
        restaurant_id="restaurant-1",
        customer_id=f"customer-{customer}",
        customer_name="Ada Lovelace",
        customer_email=f"customer-{customer}@example.com",
        total=1900,
        currency="EUR",
    )
    return first(event, order_id=f"order-{number}", cause="complete", occurred_at=NOON, producer="orders-api")


def put(flow: Flow, events: list[Any]) -> None:
    publisher = event_publisher(flow.environ, json_lines("test"))
    try:
        for answer in [publisher.publish(encoded(event)) for event in events]:
            answer.result()
    finally:
        publisher.close()


def vouchers(flow: Flow) -> list[Any]:
    """Each that is on the stream, once; a repeat has the same id."""
    found = {}
    for _, record in retained_records(flow.environ):
        if b'"voucher_issued"' in record.data:
            envelope = decode(record.data)
            assert isinstance(envelope.event, VoucherIssued)
            found[envelope.event_id] = envelope
    return list(found.values())


def expected(events: list[Any]) -> dict[str, list[int]]:
    counts = Counter(event.event.customer_id for event in events)
    return {name: list(range(EVERY, count + 1, EVERY)) for name, count in counts.items() if count >= EVERY}


def issued(flow: Flow) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for envelope in vouchers(flow):
        found.setdefault(envelope.event.customer_id, []).append(envelope.event.completed_orders)
    return {name: sorted(numbers) for name, numbers in found.items()}


@pytest.mark.long
def test_each_fifth_order_of_all_history_earns_one_voucher_though_the_job_is_killed(flow: Flow) -> None:
    chance = random.Random(7)
    events = [completed(number, int(chance.paretovariate(0.8)) % CUSTOMERS) for number in range(ORDERS)]
    put(flow, events)
    flow.start_consumer("archiver")
    until(lambda: lake_rows(flow.environ) == ORDERS, within=90, every=0.5)
    flow.start_consumer("voucher_mailer")
    flow.start_consumer("promo_issuer")
    # Within the job.
    until(lambda: flow.log("promo_issuer").count("StepPerformed") > ORDERS / 5, within=150, every=0.05)
    flow.kill("promo_issuer")
    assert '"Replayed"' not in flow.log("promo_issuer")
    flow.start_consumer("promo_issuer")
    # And at its end, where places are written.
    until(lambda: '"Replayed"' in flow.log("promo_issuer"), within=150, every=0.01)
    flow.kill("promo_issuer")
    flow.start_consumer("promo_issuer")
    more = [completed(ORDERS + number, number % 20) for number in range(LATER)]
    put(flow, more)
    wanted = expected(events + more)
    until(lambda: issued(flow) == wanted, within=120, every=1)
    told = vouchers(flow)
    assert len({one.event.voucher_code for one in told}) == len(told) == sum(map(len, wanted.values())) > ORDERS / 8
    assert {one.event.customer_email for one in told} >= {f"customer-{number}@example.com" for number in range(20)}
    # The mailer began with what came since it was there, and told each customer once.
    until(lambda: len(mail_effects(flow.environ)) >= len(told), within=90, every=1)
    mails = Counter(effect.event_id for effect in mail_effects(flow.environ))
    assert mails == {one.event_id: 1 for one in told}
    for consumer in ("promo_issuer", "voucher_mailer", "archiver"):
        assert flow.stop(consumer) == 0
        assert "RecordSetApart" not in flow.log(consumer)
