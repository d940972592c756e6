"""One load from beginning to end: customers and, if there are tickets to serve, restaurants, until all is settled."""

import math
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import httpx

from foundation.clock import Clock, Wait, uninterrupted_wait
from foundation.diagnostics import Emit
from foundation.percentiles import percentile
from producers.load.ledger import LedgerWriter
from producers.load.live.agenda import Agenda
from producers.load.live.customers import Customers
from producers.load.live.generator import Generator, Placings
from producers.load.live.open_orders import OpenStep, Why, what_is_open
from producers.load.live.orders_client import OrdersClient
from producers.load.live.restaurants import Restaurants
from producers.load.live.served import Served, served
from producers.load.live.tickets import TicketQueue
from producers.load.live.watching import WatchedRestaurants
from producers.load.market import ORDERS_A_DAY, FlatDemand, Kitchens, Market, WeekDemand, a_market, orders
from producers.orders import TokenKey

PROGRESS_EVERY = 0.2
# Monday at eleven: where a load begins that follows the days' profile.
OPENING_MINUTE = 11 * 60
# Who sends the last order later than this, in seconds and as a share of the time all took, does not hold the rate.
LATE_SECONDS, LATE_SHARE = 1.0, 0.05


@dataclass(frozen=True)
class LoadPlan:
    """`rate` orders a second, or as days and weeks go where it is None; `count` of them or no end.

    `speed` 60 makes a kitchen's minute, and the profile's, a second.
    """

    seed: int
    rate: float | None
    count: int | None
    speed: float = 1.0
    drain_timeout: timedelta = timedelta(minutes=2)

    @property
    def market(self) -> Market:
        if self.rate is None:
            return a_market(self.seed, WeekDemand(ORDERS_A_DAY, OPENING_MINUTE))
        return a_market(self.seed, FlatDemand(self.rate * 60 / self.speed))


@dataclass(frozen=True)
class LoadCounts:
    """Orders so far: sent, acknowledged, and what has become of them."""

    sent: int
    acknowledged: int
    accepted: int
    rejected: int
    completed: int
    cancelled: int
    expired: int

    @property
    def ended(self) -> int:
        return self.rejected + self.completed + self.cancelled + self.expired


@dataclass(frozen=True)
class LoadSummary:
    """How a load went. Latencies count from the intended time; `max_lag` is how far the generator fell behind.

    `unacknowledged` orders may be on the stream; `refused` ones are not. `drained` is False when acknowledged orders
    had not come to an end in time, and `left_open` says what they wait for; without restaurants it is None.
    `held_rate` is False when the last order was sent late: the generator, or what it talks to, is slower than the rate.
    """

    seed: int
    orders: int
    acknowledged: int
    refused: int
    unacknowledged: int
    accepted: int
    rejected: int
    completed: int
    cancelled: int
    expired: int
    p50: timedelta | None
    p99: timedelta | None
    max_lag: timedelta
    drained: bool | None
    held_rate: bool
    left_open: tuple[OpenStep, ...] = ()

    @property
    def stuck(self) -> bool:
        """Whether orders are open for another reason than that their restaurants have time."""
        return any(one.why is Why.STUCK for one in self.left_open)

    def __str__(self) -> str:
        served = (
            f" · {self.accepted:,} accepted · {self.completed:,} completed · {self.rejected:,} rejected"
            f" · {self.cancelled:,} cancelled · {self.expired:,} expired"
        )
        doubts = f" · {self.refused:,} refused · {self.unacknowledged:,} unacknowledged"
        times = f"p50 {_milliseconds(self.p50)} · p99 {_milliseconds(self.p99)} from the intended time"
        lag = f"the generator fell behind by at most {_milliseconds(self.max_lag)}"
        slow = "" if self.held_rate else "\nthe rate could not be held: the last order was sent late"
        left = "not every order came to its end in time" if self.stuck else "the orders left open are in time"
        open_ones = "".join(f"\n{line}" for line in (left, *self.left_open)) if self.left_open else ""
        return (
            f"{self.orders:,} orders · {self.acknowledged:,} acknowledged{doubts}"
            f"{'' if self.drained is None else served}\n{times} · {lag} · seed {self.seed}{slow}{open_ones}"
        )


def simulate(
    plan: LoadPlan,
    *,
    http: httpx.Client,
    token_key: TokenKey,
    ledger_directory: Path,
    tickets: TicketQueue | None,
    watch: bool = False,
    run_by_people: Callable[[str], bool] = lambda _: False,
    clock: Clock,
    emit: Emit,
    stop: threading.Event,
    progress: Callable[[LoadCounts], None],
    pause: Wait | None = None,
) -> LoadSummary:
    """Places the orders, serves the `tickets` (None: other restaurants do), and sums up.

    With `watch` the API is asked what other restaurants do with these orders; without it none is waited for.
    `run_by_people` says of a restaurant's id whether its tickets are left to a person.

    Setting `stop` ends the placing; what is in flight is finished, and what was placed is served until the drain
    timeout. `pause` passes the time of backoffs and progress.
    """
    pause = pause or uninterrupted_wait()
    api = OrdersClient(http, token_key, clock=clock, wait=pause)
    closing = threading.Event()
    with (
        LedgerWriter(ledger_directory, "customers") as customers,
        LedgerWriter(ledger_directory, "restaurants") as kitchens,
        Agenda(clock, pause) as agenda,
        ThreadPoolExecutor(2, thread_name_prefix="load") as pool,
        _set_on_leaving(closing),
    ):
        changing_minds = Customers(api, customers, agenda, clock=clock, emit=emit)
        generator = Generator(
            api,
            customers,
            placed=changing_minds.placed,
            clock=clock,
            wait=lambda seconds: stop.wait(seconds) or closing.is_set(),
        )
        market = plan.market
        restaurants: Restaurants | WatchedRestaurants | None = (
            Restaurants(
                tickets,
                api,
                kitchens,
                cooking=Kitchens(plan.seed, market.demand.peak_per_hour, market.restaurants),
                speed=plan.speed,
                clock=clock,
                wait=pause,
                emit=emit,
            )
            if tickets
            else WatchedRestaurants(api, generator.acknowledged, wait=pause)
            if watch
            else None
        )
        placing = pool.submit(generator.run, orders(market, plan.count, plan.speed))
        serving = pool.submit(restaurants.run, closing) if restaurants else None
        drain_until = math.inf
        while True:
            agenda.check()
            now = served({**changing_minds.states(), **(restaurants.states() if restaurants else {})})
            progress(_counts(generator, now))
            if serving and serving.done():
                serving.result()  # It ends before `closing` only by an error.
            if placing.done():
                placing.result()
                drain_until = min(drain_until, clock.monotonic() + plan.drain_timeout.total_seconds())
                left = {one: customer for one, customer in generator.acknowledged().items() if one not in now.finished}
                if restaurants is None:
                    return _summary(plan.seed, generator.placings, now, None)
                if not left or clock.monotonic() >= drain_until:
                    found = what_is_open(api, left, run_by_people=run_by_people, clock=clock, emit=emit)
                    return _summary(plan.seed, generator.placings, now, found)
            pause(PROGRESS_EVERY)


@contextmanager
def _set_on_leaving(event: threading.Event) -> Iterator[None]:
    """So that nobody goes on working, whichever way the load ends."""
    try:
        yield
    finally:
        event.set()


def _counts(generator: Generator, now: Served) -> LoadCounts:
    sent, acknowledged = generator.counts()
    return LoadCounts(
        sent,
        acknowledged,
        accepted=len(now.accepted),
        rejected=len(now.rejected),
        completed=len(now.completed),
        cancelled=len(now.cancelled),
        expired=len(now.expired),
    )


def _summary(seed: int, placings: Placings, now: Served, left: tuple[OpenStep, ...] | None) -> LoadSummary:
    """Counts orders of this load only: the restaurants may have served tickets of others too.

    `left` is what is open; None where none was waited for.
    """
    ours = placings.acknowledged.keys()
    return LoadSummary(
        seed=seed,
        orders=placings.intended,
        acknowledged=len(ours),
        refused=placings.refused,
        unacknowledged=placings.unanswered,
        accepted=len(ours & now.accepted),
        rejected=len(ours & now.rejected),
        completed=len(ours & now.completed),
        cancelled=len(ours & now.cancelled),
        expired=len(ours & now.expired),
        p50=_percentile(placings.latencies, 50),
        p99=_percentile(placings.latencies, 99),
        max_lag=timedelta(seconds=placings.max_lag),
        drained=not left if left is not None else None,
        held_rate=placings.last_lag <= max(LATE_SECONDS, LATE_SHARE * placings.last_offset),
        left_open=left or (),
    )


def _percentile(seconds: list[float], percent: float) -> timedelta | None:
    return timedelta(seconds=percentile(seconds, percent)) if seconds else None


def _milliseconds(duration: timedelta | None) -> str:
    return "-" if duration is None else f"{duration / timedelta(milliseconds=1):,.0f} ms"
