"""Puts the producers together from an environment. What a load needs beside them is in `producers.load.assembly`.

What only the API needs is imported where it is built, so that a consumer that publishes loads no web framework.
"""

import asyncio
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from botocore.config import Config

from foundation import aws
from foundation.clock import SYSTEM_CLOCK, Wait, uninterrupted_wait
from foundation.diagnostics import Emit
from foundation.kinesis import listed_shards
from foundation.settings import from_environment
from producers.deadlines import Reach, Watcher
from producers.orders import Ordering, OrdersTable, Relay, RelayThread, TokenKey
from producers.publishing import EventPublisher
from producers.settings import MarksSettings, OrdersApiSettings, PublisherSettings, TokenSettings, TrackerSettings
from producers.tracking import ReadShards, TrackedOrders

if TYPE_CHECKING:
    from litestar import Litestar

    from producers.api.app import Addition
    from producers.pages.frame import Pages
    from producers.pages.marks import MarksTable
    from producers.pages.orders import Menu

    # Pages of a room of their own, made with what all pages share.
    Room = Callable[[Pages, Emit], Addition]

# One that hangs holds up every shard, so it is given up well before the publisher's own deadline, and sent again: what
# that doubles can be told by its event's id.
KINESIS = Config(retries={"mode": "standard", "total_max_attempts": 2}, connect_timeout=5, read_timeout=15)
# A request holds a thread while it waits for AWS, and at most one connection to DynamoDB. The usual executor has cores
# + 4 threads: too few to keep a core busy with an AWS that is milliseconds away.
API_THREADS = 64
DYNAMODB = Config(
    retries={"mode": "standard", "total_max_attempts": 3},
    connect_timeout=2,
    read_timeout=5,
    # And the relay's.
    max_pool_connections=API_THREADS + 1,
)


def event_publisher(environ: Mapping[str, str], emit: Emit) -> EventPublisher:
    """A running publisher; close it."""
    settings = from_environment(PublisherSettings, environ)
    client = aws.client("kinesis", environ, KINESIS)
    return EventPublisher(
        client,
        settings.stream,
        clock=SYSTEM_CLOCK,
        wait=uninterrupted_wait(),
        emit=emit,
        linger=settings.linger,
        deliver_within=settings.deliver_within,
        jitter=random.Random(),
        allow_unordered=settings.allow_unordered,
    )


def orders_table(environ: Mapping[str, str]) -> OrdersTable:
    settings = from_environment(OrdersApiSettings, environ)
    client = aws.client("dynamodb", environ, DYNAMODB)
    return OrdersTable(client, settings.orders_table)


def tracked_orders(environ: Mapping[str, str], config: Config = DYNAMODB) -> TrackedOrders:
    settings = from_environment(TrackerSettings, environ)
    client = aws.client("dynamodb", environ, config)
    return TrackedOrders(client, settings.tracker_table, speed=settings.speed, wait=uninterrupted_wait())


def read_shards(environ: Mapping[str, str]) -> ReadShards:
    settings = from_environment(TrackerSettings, environ)
    client = aws.client("dynamodb", environ, DYNAMODB)
    return ReadShards(client, settings.tracker_table, wait=uninterrupted_wait())


def token_key(environ: Mapping[str, str]) -> TokenKey:
    return TokenKey(from_environment(TokenSettings, environ).token_key.encode())


def marks_table(environ: Mapping[str, str]) -> "MarksTable":
    from producers.pages.marks import MarksTable

    settings = from_environment(MarksSettings, environ)
    return MarksTable(aws.client("dynamodb", environ, DYNAMODB), settings.outcomes_table)


def orders_api(
    environ: Mapping[str, str], emit: Emit, menu: "Menu | None" = None, rooms: "Sequence[Room]" = ()
) -> "Litestar":
    """The orders API with its pages, and a publisher and a relay of its own, which end when the application shuts down.

    Customers choose from `menu`, which has no restaurant where it is None; `rooms` are pages that others bring along.
    """
    from producers.api.app import create_app
    from producers.pages.frame import Pages, SignInKey, frame
    from producers.pages.orders import Menu, left, order_pages

    settings = from_environment(OrdersApiSettings, environ)
    key, orders, marks = token_key(environ), orders_table(environ), marks_table(environ)
    pages = Pages(SignInKey(key), SYSTEM_CLOCK)
    publisher, tracked = event_publisher(environ, emit), tracked_orders(environ)
    own = order_pages(menu or Menu((), "EUR", "UTC"), marks)
    app = create_app(
        orders,
        tracked,
        publisher,
        key,
        SYSTEM_CLOCK,
        emit,
        answer_within=settings.answer_within,
        accept_within=settings.accept_within,
        additions=[frame(pages, marks, emit, leaving=left(marks)), *(room(pages, emit) for room in (own, *rooms))],
        log_requests=True,
    )
    relay = RelayThread(partial(_relay, orders, publisher, settings, emit))
    # guarantee: each API relays what others left behind
    app.on_startup += [enough_threads, relay.start]
    app.on_shutdown += [relay.stop, publisher.close, relay.join]
    return app


@contextmanager
def watcher(environ: Mapping[str, str], emit: Emit, wait: Wait) -> Iterator[Watcher]:
    """The deadline watcher, to be run, with a publisher and a relay of its own, which end behind it."""
    settings, stream = from_environment(OrdersApiSettings, environ), from_environment(PublisherSettings, environ).stream
    orders, kinesis = orders_table(environ), aws.client("kinesis", environ, KINESIS)

    def open_shards() -> list[str]:
        return [shard.shard_id for shard in listed_shards(kinesis, stream) if not shard.closed]

    reach = Reach(open_shards, read_shards(environ), clock=SYSTEM_CLOCK)
    with event_publisher(environ, emit) as publisher:
        relay = RelayThread(partial(_relay, orders, publisher, settings, emit))
        relay.start()
        try:
            yield Watcher(
                tracked_orders(environ),
                _ordering(orders, publisher, settings, emit),
                reach.until,
                clock=SYSTEM_CLOCK,
                wait=wait,
                emit=emit,
                jitter=random.Random(),
            )
        finally:
            relay.stop()
    relay.join()


def _relay(
    orders: OrdersTable, publisher: EventPublisher, settings: OrdersApiSettings, emit: Emit, wait: Wait
) -> Relay:
    ordering = _ordering(orders, publisher, settings, emit)
    return Relay(orders, ordering, clock=SYSTEM_CLOCK, wait=wait, emit=emit, jitter=random.Random())


def _ordering(orders: OrdersTable, publisher: EventPublisher, settings: OrdersApiSettings, emit: Emit) -> Ordering:
    return Ordering(
        orders,
        publisher,
        clock=SYSTEM_CLOCK,
        emit=emit,
        answer_within=settings.answer_within,
        accept_within=settings.accept_within,
    )


async def enough_threads() -> None:
    """To be run as the API starts, in its loop."""
    # guarantee: as many requests wait for the store as there are connections to it
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(API_THREADS, thread_name_prefix="orders-api"))
