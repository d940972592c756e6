"""What orders wait for that a load leaves open: whose step it is, and whether that is well or a failure."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from botocore.exceptions import BotoCoreError, ClientError

from events import ANSWERS, EVENT_TYPES, FINAL
from foundation.clock import Clock
from foundation.diagnostics import Emit
from producers.load.live.orders_client import Awaited, OrdersClient, Standing
from producers.load.live.restaurants import TicketQueueFailed

_RESTAURANT = "restaurant"
_ANSWERS = frozenset(EVENT_TYPES[event] for event in ANSWERS)
_AT_ONCE = 8
_NAMED = 3


class Why(StrEnum):
    """PERSON: a person has the restaurant, and time for it. TIME_LEFT: its simulated restaurant may still answer; what
    it does not answer expires. STUCK: neither, which is a failure.
    """

    PERSON = "person"
    TIME_LEFT = "time left"
    STUCK = "stuck"


@dataclass(frozen=True)
class OpenStep:
    """So many `orders` wait for `actor` to tell one of `tells`, for which `owner` answers; `first` is one of them.

    The last of them by `until`. `actor` is None where the API could not say what they wait for. `restaurants` has whose
    orders they are, the one with the most first.
    """

    orders: int
    why: Why
    actor: str | None
    owner: str | None
    tells: tuple[str, ...]
    until: datetime | None
    restaurants: tuple[str, ...]
    first: str

    def __str__(self) -> str:
        wait = "1 order waits" if self.orders == 1 else f"{self.orders:,} orders wait"
        if self.actor is None:
            return f"{wait} for what the API could not say. fix: `takeaway trace {self.first}` shows the first of them"
        step = f"{wait} for {self.actor} to tell {' or '.join(self.tells)} (owner: {self.owner})"
        until = f"{self.until:%H:%M:%S} UTC" if self.until else "later"
        if self.why is Why.PERSON:
            return (
                f"{step} by {until}: a person runs {self._some_restaurants}. fix: answer there, "
                f"`takeaway token {self.restaurants[0]} --role restaurant --link` prints a link that signs in; what is "
                "not answered in time expires by itself"
            )
        if self.why is Why.TIME_LEFT:
            return (
                f"{step} by {until}, simulated at {self._some_restaurants}, which leave some unanswered. fix: none is "
                "needed, they expire by themselves then"
            )
        return (
            f"{step}, at {self._some_restaurants}. fix: `takeaway doctor` says what stands still, "
            f"`takeaway trace {self.first}` shows the first of them"
        )

    @property
    def _some_restaurants(self) -> str:
        more = len(self.restaurants) - _NAMED
        return ", ".join(self.restaurants[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def what_is_open(
    api: OrdersClient,
    orders: Mapping[str, str],
    *,
    run_by_people: Callable[[str], bool],
    clock: Clock,
    emit: Emit,
) -> tuple[OpenStep, ...]:
    """Asks the API for each of these orders, given with their customers. One that has ended is open no more."""
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="asking") as pool:
        told = list(pool.map(lambda one: api.standing(one[0], customer_id=one[1]), orders.items()))
    standings = dict(zip(orders, told, strict=True))
    restaurants = {one.restaurant_id for one in standings.values() if one is not None}
    return open_steps(standings, {one: _is_run(one, run_by_people, emit) for one in restaurants}, clock.now())


def open_steps(
    standings: Mapping[str, Standing | None], run_by_people: Mapping[str, bool], now: datetime
) -> tuple[OpenStep, ...]:
    """The steps that these orders wait for, failures first. Pure.

    None stands for an order that the API did not tell of; `run_by_people` says it of each restaurant.
    """
    found: dict[tuple[object, ...], list[tuple[str, Standing | None, Awaited | None]]] = {}
    for order_id, standing in standings.items():
        if standing is not None and standing.state in FINAL:
            continue
        step = led_on_by(standing.waits_for or (), now) if standing is not None else None
        why = _why(standing, step, run_by_people, now)
        name = (why, step.actor, step.owner, step.tells) if step else (why,)
        found.setdefault(name, []).append((order_id, standing, step))
    steps = [_counted(why=name[0], some=some) for name, some in found.items() if isinstance(name[0], Why)]
    return tuple(sorted(steps, key=lambda one: (one.why is not Why.STUCK, -one.orders)))


def led_on_by(waits_for: Sequence[Awaited], now: datetime) -> Awaited | None:
    """The step that the order's end waits for: its restaurant's while that has time, else what was due first."""
    in_time = (one for one in waits_for if one.actor == _RESTAURANT and one.by > now)
    return next(in_time, None) or next(iter(waits_for), None)


def _is_run(restaurant_id: str, run_by_people: Callable[[str], bool], emit: Emit) -> bool:
    """That this cannot be asked keeps no summary from being told."""
    try:
        return run_by_people(restaurant_id)
    except (BotoCoreError, ClientError) as error:
        emit(TicketQueueFailed("ask whose it is", f"{type(error).__name__}: {error}"))
        return False


def _why(standing: Standing | None, step: Awaited | None, run_by_people: Mapping[str, bool], now: datetime) -> Why:
    # guarantee: only what waits for its restaurant, in time, is no failure of a load
    if standing is None or step is None or step.actor != _RESTAURANT or step.by <= now:
        return Why.STUCK
    if run_by_people[standing.restaurant_id]:
        return Why.PERSON
    # A simulated kitchen that has accepted an order completes it: it has nothing else to do.
    return Why.STUCK if _ANSWERS.isdisjoint(step.tells) else Why.TIME_LEFT


def _counted(*, why: Why, some: Sequence[tuple[str, Standing | None, Awaited | None]]) -> OpenStep:
    restaurants = Counter(standing.restaurant_id for _, standing, _ in some if standing is not None)
    first, _, step = some[0]
    named = tuple(name for name, _ in sorted(restaurants.items(), key=lambda one: (-one[1], one[0])))
    unknown = OpenStep(len(some), why, None, None, (), None, named, first)
    if step is None:
        return unknown
    until = max(one.by for _, _, one in some if one is not None)
    return replace(unknown, actor=step.actor, owner=step.owner, tells=step.tells, until=until)
