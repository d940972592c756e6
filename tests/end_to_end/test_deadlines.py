"""Deadlines through real processes: orders expire though nobody asks, with watcher, tracker and SNS down meanwhile.

And with the shard split meanwhile, on a back end that keeps its parent.
"""

import json
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from events import OrderAccepted, OrderCompleted
from foundation import aws
from foundation.kinesis import listed_shards
from producers.assembly import orders_table, tracked_orders
from producers.load.ledger import LedgerWriter
from takeaway.audit.evidence import gather, stream_facts
from takeaway.audit.verdict import audit
from takeaway.local import backends
from tests.conftest import the_backend
from tests.end_to_end.test_compensation import Commands
from tests.support.flow import TOLD_AGAIN, Flow, pause, until
from tests.support.proxy import INTERNAL_ERROR, Answer, Request, proxy

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(400)]

# What is accepted here is accepted once its ticket is told, which takes LocalStack longer.
ACCEPT_WITHIN = 10 if the_backend() is backends.EMBEDDED else 25
SHARDS = 1
# Two hours for the food are two seconds.
SPEED = "3600"


class Sns:
    """Its gate: while it is down no ticket and no withdrawal goes through."""

    down = False

    def behave(self, request: Request, forward: Callable[[], Answer]) -> Answer | None:
        return INTERNAL_ERROR if self.down and b"Action=Publish" in request.body else forward()


def happened(flow: Flow, name: str, what: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in flow.log(name).splitlines() if line.startswith("{")]
    return [line for line in lines if line["happened"] == what]


def split_the_shard(flow: Flow) -> None:
    kinesis: Any = aws.client("kinesis", flow.environ)
    name = flow.environ["TAKEAWAY_STREAM"]
    [shard] = [one for one in listed_shards(kinesis, name) if not one.closed]
    kinesis.split_shard(StreamName=name, ShardToSplit=shard.shard_id, NewStartingHashKey=str(2**127))

    def is_split() -> bool:
        summary = kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]
        return bool(summary["StreamStatus"] == "ACTIVE" and summary["OpenShardCount"] == 2)

    until(is_split)


def test_what_nobody_asks_for_happens_whatever_was_down_meanwhile(flow: Flow) -> None:
    flow.environ["TAKEAWAY_SPEED"] = SPEED
    flow.start_api(TAKEAWAY_ACCEPT_WITHIN_SECONDS=str(ACCEPT_WITHIN))
    sns, orders = Sns(), orders_table(flow.environ)

    def state(order_id: str) -> str:
        order = orders.get(order_id)
        assert order
        return order.state

    for consumer in ("user_notifier", "archiver"):
        flow.start_consumer(consumer)
    flow.start("watcher", "watch")
    with (
        LedgerWriter(flow.ledger, "by-hand") as ledger,
        proxy(flow.environ["AWS_ENDPOINT_URL"], sns.behave) as through,
    ):
        flow.start_consumer("restaurant_notifier", AWS_ENDPOINT_URL=through)
        commands = Commands(flow, ledger)
        answered, silent = (commands.place(key) for key in ("answered", "silent"))
        until(lambda: "restaurant_notified" in types_of(flow, answered))
        body = {"ready_in_minutes": 5}
        answer = commands.post(f"/orders/{answered}/accept", body, "restaurant-1", "restaurant", "accept")
        assert answer.json()["state"] == "accepted"
        commands.promised(OrderAccepted, "accept", answered)
        # The food is late, and what was not answered has expired, within seconds.
        until(lambda: happened(flow, "watcher", "OrderGivenUp"), within=ACCEPT_WITHIN + 30)
        [given_up] = happened(flow, "watcher", "OrderGivenUp")
        assert given_up["order_id"] == silent
        assert given_up["seconds_late"] < 10
        assert state(silent) == "expired"
        until(lambda: happened(flow, "watcher", "StepOverdue"), within=60)

        flow.kill("watcher")
        flow.kill("archiver")
        sns.down = True
        meanwhile = commands.place("meanwhile")
        if the_backend() is not backends.EMBEDDED:
            split_the_shard(flow)
        pause(ACCEPT_WITHIN + 3)
        assert state(meanwhile) == "placed"
        flow.start_consumer("archiver")
        flow.start("watcher-2", "watch")
        until(lambda: happened(flow, "watcher-2", "OrderGivenUp"), within=60)
        assert state(meanwhile) == "expired"
        sns.down = False
        assert commands.post(f"/orders/{answered}/complete", None, "restaurant-1", "restaurant", "complete").is_success
        commands.promised(OrderCompleted, "complete", answered)

        def told() -> Counter[str]:
            return Counter(effect.kind for effect in gather(flow.environ, flow.ledger).effects)

        # Of the acceptance, the completion and two expiries.
        until(lambda: told() == {"ticket": 3, "withdrawal": 2, "e-mail": 4}, within=90, every=1)
        until(lambda: audit(gather(flow.environ, flow.ledger)).at_rest, within=60, every=1)
        until(lambda: nothing_is_due(flow, answered, silent, meanwhile), within=60, every=1)
        codes = {name: flow.stop(name) for name in ("watcher-2", "archiver")}
    assert codes == {"watcher-2": 0, "archiver": 0}
    require_told_once(flow, answered, silent, meanwhile)


def require_told_once(flow: Flow, answered: str, silent: str, meanwhile: str) -> None:
    verdict = flow.look(TOLD_AGAIN)
    assert verdict.ok, verdict.findings
    assert (verdict.open_orders, verdict.orders) == (0, 3)
    for order_id in (silent, meanwhile):
        assert types_of(flow, order_id)["order_expired"] == 1
        assert sent(flow, order_id, "ticket") <= sent(flow, order_id, "withdrawal")
    for what, expected in (("OrderGivenUp", [silent, meanwhile]), ("StepOverdue", [answered])):
        told_of = [line for name in ("watcher", "watcher-2") for line in happened(flow, name, what)]
        assert [line["order_id"] for line in told_of] == expected, told_of
    [food] = [line for name in ("watcher", "watcher-2") for line in happened(flow, name, "StepOverdue")]
    assert (food["actor"], food["tells"], food["owner"]) == ("restaurant", "order_completed", "restaurants")


def types_of(flow: Flow, order_id: str) -> Counter[str]:
    """How many different events of each type the stream has of it."""
    facts, _ = stream_facts(flow.environ)
    return Counter(kind for _, kind in {(one.event_id, one.event_type) for one in facts if one.order_id == order_id})


def sent(flow: Flow, order_id: str, kind: str) -> datetime:
    """When the service took the one message of this kind."""
    facts, _ = stream_facts(flow.environ)
    events = {one.event_id for one in facts if one.order_id == order_id}
    [effect] = [one for one in gather(flow.environ, flow.ledger).effects if one.event_id in events and one.kind == kind]
    assert effect.sent_at
    return effect.sent_at


def nothing_is_due(flow: Flow, *order_ids: str) -> bool:
    found = tracked_orders(flow.environ).get_many(order_ids)
    return len(found) == len(order_ids) and not any(one.timeline.waits_for for one in found.values())
