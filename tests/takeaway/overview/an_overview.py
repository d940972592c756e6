"""An overview with good defaults: a test names only what it is about."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from events.states import ACCEPTED, PLACED
from takeaway.doctor import DeadLetters, Process
from takeaway.overdue import MissedDeadline
from takeaway.overview.facts import (
    ConsumerFlow,
    ConsumerOnShard,
    EventFlow,
    Lag,
    MissedDeadlines,
    OpenOrder,
    OpenOrders,
    Orders,
    Overview,
    ShardFlow,
    StepTime,
    WaitingOrder,
)
from takeaway.standing import Judgement, Verdict
from tests.support.builders import NOON

ORDER = "5feab07b-9baf-542d-8fbc-7b1b8a355fb3"
NAMES = ("restaurant_notifier", "user_notifier", "archiver", "promo_issuer", "voucher_mailer")
STALLED = Judgement(Verdict.STALLED, "records wait, and its checkpoint does not move", "", 90.0)


def a_lag(records: int = 0, **changes: Any) -> Lag:
    seconds = 29.0 if records else 0.0
    oldest = WaitingOrder(ORDER, "order_accepted", seconds) if records else None
    return replace(Lag(records, seconds=seconds, of_types={"order_accepted": records}, oldest=oldest), **changes)


def a_consumer(name: str = "user_notifier", lag: Lag | None = None, **changes: Any) -> ConsumerFlow:
    on_shard = ConsumerOnShard(
        "shardId-000000000000", "1", "worker-0123456789ab", True, False, lag or a_lag(), 29.0, Judgement(Verdict.OK)
    )
    return replace(ConsumerFlow(name, f"takeaway-{name}", ran=True, shards=(on_shard,)), **changes)


def a_process(name: str, **changes: Any) -> Process:
    return replace(Process(name, 4242, up=True, log=f"/home/logs/{name}.log"), **changes)


def frozen_notifier(records: int = 73) -> ConsumerFlow:
    return a_consumer(lag=a_lag(records), process=a_process("user_notifier", frozen=True))


def missed(number: int) -> MissedDeadline:
    due = NOON - timedelta(seconds=90 - number)
    return MissedDeadline(f"order-{number}-{ORDER}", "user_notifier", "customers", ("user_notified",), due)


def an_overview(**changes: Any) -> Overview:
    orders = Orders(
        OpenOrders(
            {PLACED: 3, ACCEPTED: 8},
            {
                PLACED: OpenOrder("44c4f842-8ba6-56d2-8182-8c59fbaf6666", PLACED, NOON - timedelta(seconds=5)),
                ACCEPTED: OpenOrder("0739050c-97d6-5b19-9edb-bcbc1b191226", ACCEPTED, NOON - timedelta(seconds=42)),
            },
        ),
        MissedDeadlines(looked_at=11),
        (StepTime("restaurant", "order_accepted", ("order_completed",), "restaurants", 9, 8, 37.0, 120.0, 37 / 120),),
    )
    found = Overview(
        at=NOON,
        since=NOON - timedelta(minutes=1),
        endpoint="http://127.0.0.1:4566",
        stack="takeaway",
        shards=tuple(ShardFlow(f"shardId-00000000000{n}", True, 3.7, 2764.8, 10.0) for n in (0, 1)),
        events=(EventFlow("order_placed", 12, 0.7),),
        consumers=tuple(a_consumer(name, process=a_process(name)) for name in NAMES),
        letters=tuple(DeadLetters(name, f"s3://letters/{name}/") for name in (*NAMES, "tracker")),
        orders=orders,
        processes=tuple(a_process(name) for name in ("api", *NAMES)),
        reads=1,
        took_seconds=0.3,
    )
    return replace(found, **changes)
