"""A load, or the restaurants alone, against an environment's API and ticket queue: what a command line calls."""

import threading
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path

from foundation.clock import SYSTEM_CLOCK, uninterrupted_wait
from foundation.diagnostics import Emit
from producers.assembly import marks_table, token_key
from producers.load.assembly import orders_http, ticket_queue
from producers.load.ledger import LedgerWriter
from producers.load.live import LoadCounts, LoadPlan, LoadSummary, OrdersClient, Restaurants, simulate
from producers.load.market import Kitchens, restaurants

# Orders a second, of a load that names no rate.
DEFAULT_RATE = 20.0
# Restaurants that do not know the load are made for so many times that: what is popular in a load's market may be a
# small kitchen in theirs, which would let a tenth of all orders expire.
ROOM = 4.0


def run_load(
    environ: Mapping[str, str],
    *,
    api: str,
    orders: int | None,
    rate: float | None,
    speed: float,
    seed: int,
    ledger: Path,
    with_restaurants: bool,
    watch_restaurants: bool = False,
    run_by_people: Callable[[str], bool] = lambda _: False,
    stop: threading.Event,
    emit: Emit,
    progress: Callable[[LoadCounts], None] | None = None,
    drain_timeout: timedelta = timedelta(minutes=2),
) -> LoadSummary:
    """Places `orders` (None: until `stop`) at the API's URL, `rate` a second, and waits until all are settled.

    Without a rate they come as days and weeks go, `speed` times as fast. `watch_restaurants`: others serve the tickets,
    and are waited for; `run_by_people` says of a restaurant's id whether these are people.
    """
    with orders_http(api) as http:
        return simulate(
            LoadPlan(seed=seed, rate=rate, count=orders, speed=speed, drain_timeout=drain_timeout),
            http=http,
            token_key=token_key(environ),
            ledger_directory=ledger,
            tickets=ticket_queue(environ) if with_restaurants else None,
            watch=watch_restaurants,
            run_by_people=run_by_people,
            clock=SYSTEM_CLOCK,
            emit=emit,
            stop=stop,
            progress=progress or _nobody_looks,
        )


def run_restaurants(
    environ: Mapping[str, str],
    *,
    api: str,
    speed: float,
    seed: int,
    ledger: Path,
    stop: threading.Event,
    emit: Emit,
    others: bool = False,
) -> None:
    """Serves every ticket that comes, until stopped. What comes beyond some times the default rate queues.

    `others`: only those of restaurants whose page nobody has open.
    """
    wait = uninterrupted_wait()
    with orders_http(api) as http, LedgerWriter(ledger, "restaurants") as writer:
        client = OrdersClient(http, token_key(environ), clock=SYSTEM_CLOCK, wait=wait)
        kitchens = Kitchens(seed, ROOM * DEFAULT_RATE * 3600 / speed, restaurants(seed))
        Restaurants(
            ticket_queue(environ),
            client,
            writer,
            cooking=kitchens,
            speed=speed,
            clock=SYSTEM_CLOCK,
            wait=wait,
            emit=emit,
            run_by_people=opened_restaurants(environ) if others else lambda _: False,
        ).run(stop)


def opened_restaurants(environ: Mapping[str, str]) -> Callable[[str], bool]:
    """What says of a restaurant's id whether a person has its page open. It raises what DynamoDB answers."""
    marks = marks_table(environ)
    return lambda restaurant_id: marks.is_open(restaurant_id, SYSTEM_CLOCK.now())


def _nobody_looks(_: LoadCounts) -> None:
    """For loads without a screen."""
