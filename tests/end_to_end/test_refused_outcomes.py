"""The table of outcomes refuses all writes for a while, under load, with a hand-over and a SIGTERM within."""

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

import pytest

from events.wire import encode
from foundation.aws import client
from foundation.clock import SYSTEM_CLOCK
from takeaway.audit.effects import mail_effects
from tests.end_to_end.test_doctor import an_acceptance
from tests.support.builders import an_envelope
from tests.support.flow import Flow, pause, until
from tests.support.proxy import Answer, Request, proxy
from tests.support.tables import Tables

pytestmark = [
    pytest.mark.end_to_end,
    pytest.mark.chaos,
    # `tests/consumers/steps/test_effects.py` has ten minutes of simulated time in every run.
    pytest.mark.skipif("REFUSED_SECONDS" not in os.environ, reason="ten minutes: `make chaos-outcomes`"),
    pytest.mark.timeout(3600),
]

SECONDS = float(os.environ.get("REFUSED_SECONDS", "600"))
ORDERS_A_SECOND = 2
# One leaves when the other joins, one at the SIGTERM.
HAND_OVERS = 2
REFUSED = Answer(
    400,
    (("Content-Type", "application/x-amz-json-1.0"),),
    b'{"__type": "com.amazon.coral.service#AccessDeniedException", "message": "not allowed to write"}',
)


@dataclass
class Gateway:
    table: str
    refuses: bool = False
    refused: int = 0

    def behave(self, request: Request, forward: Callable[[], Answer]) -> Answer | None:
        if self.refuses and request.target.endswith(".PutItem") and self.table.encode() in request.body:
            self.refused += 1
            return REFUSED
        return forward()


def test_a_customer_gets_one_mail_and_one_more_for_each_hand_over_at_most(flow: Flow, tables: Tables) -> None:
    gateway, kinesis = Gateway(flow.environ["TAKEAWAY_OUTCOMES_TABLE"]), client("kinesis", flow.environ)
    numbers, sent = count(1), list[str]()

    def orders_for(seconds: float) -> None:
        until_then = SYSTEM_CLOCK.monotonic() + seconds
        while SYSTEM_CLOCK.monotonic() < until_then:
            order = f"order-{next(numbers)}"
            event = an_envelope(an_acceptance(order), order_id=order)
            kinesis.put_record(StreamName=flow.environ["TAKEAWAY_STREAM"], PartitionKey=order, Data=encode(event))
            sent.append(event.event_id)
            pause(1 / ORDERS_A_SECOND)

    def mails() -> Counter[str]:
        return Counter(effect.event_id for effect in mail_effects(flow.environ))

    with proxy(flow.environ["AWS_ENDPOINT_URL"], gateway.behave) as through:
        start = {"AWS_ENDPOINT_URL": through}
        flow.start_consumer("user_notifier", **start)
        orders_for(5)
        until(lambda: len(mails()) == len(sent))
        gateway.refuses = True
        orders_for(SECONDS / 3)
        flow.start("joins", "work", "user_notifier", **start)
        orders_for(SECONDS / 3)
        assert flow.stop("user_notifier") == 0, flow.log("user_notifier")
        flow.start_consumer("user_notifier", **start)
        orders_for(SECONDS / 3)
        while_refused = mails()
        gateway.refuses = False
        until(lambda: mails().keys() >= set(sent), within=240, every=1)
        assert flow.stop("user_notifier") == 0
        assert flow.stop("joins") == 0
    assert gateway.refused > HAND_OVERS, "nothing was refused: the test shows nothing"
    found = mails()
    tables.add(
        "outcomes refused",
        seconds=f"{SECONDS:g}",
        orders=len(sent),
        refusals=gateway.refused,
        mails_while_refused=sum(while_refused.values()),
        mails=sum(found.values()),
        most_to_one=max(found.values()),
    )
    assert found.keys() == set(sent)
    assert max(found.values()) <= 1 + HAND_OVERS
