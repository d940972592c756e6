"""Every number of the report worked out once more, in plain Python over what the events say: slow, and without SQL."""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from analytics.reading.orders import Window
from events.choreography import CHOREOGRAPHY
from events.orders import EVENT_TYPES
from events.states import standing
from tests.analytics.mining.plain_python import mined_plainly

Event = Mapping[str, Any]
Answer = list[dict[str, Any]]

_MINUTE, _TEN, _TWO_HOURS = 60.0, 600.0, 7200.0
_CLASSES: dict[str, Any] = {name: event for event, name in EVENT_TYPES.items()}
_ENDS = {"completed", "rejected", "cancelled", "expired"}
_WAITS = {
    "placed": ("restaurant_notified", _MINUTE),
    "notified": ("order_accepted", _TEN),
    "accepted": ("order_completed", _TWO_HOURS),
}


class Order:
    """What the events of one order say."""

    def __init__(self, order_id: str, events: Sequence[Event]) -> None:
        self.order_id = order_id
        self.at: dict[str, datetime] = {}
        for event in events:
            kind = event["event_type"]
            self.at[kind] = min(event["occurred_at"], self.at.get(kind, event["occurred_at"]))
        self.restaurant = min((one["restaurant_id"] for one in events if one.get("restaurant_id")), default=None)
        self.customer = min((one["customer_id"] for one in events if one.get("customer_id")), default=None)
        placed = next((one for one in events if one["event_type"] == "order_placed"), {})
        self.city, self.total, self.currency = (placed.get(name) for name in ("city", "total", "currency"))
        self.reason = next((one["reason"] for one in events if one["event_type"] == "order_rejected"), None)
        self.state = standing((_CLASSES[kind], at) for kind, at in self.at.items())

    @property
    def placed(self) -> datetime | None:
        return self.at.get("order_placed")

    def between(self, first: str, *others: str) -> float | None:
        """Seconds from the one to the earliest of the others, as far as both are there."""
        ends = [self.at[name] for name in others if name in self.at]
        return (min(ends) - self.at[first]).total_seconds() if first in self.at and ends else None

    @property
    def steps(self) -> dict[str, tuple[str, float | None, float]]:
        """Each step: what it follows, how long it took, how long it may take."""
        return {
            "notify the restaurant": ("order_placed", self.between("order_placed", "restaurant_notified"), _MINUTE),
            "accept or reject": (
                "restaurant_notified",
                self.between("restaurant_notified", "order_accepted", "order_rejected"),
                _TEN,
            ),
            "notify the customer": ("order_accepted", self.between("order_accepted", "user_notified"), _MINUTE),
            "prepare and complete": ("order_accepted", self.between("order_accepted", "order_completed"), _TWO_HOURS),
        }

    def waits(self, newest: datetime) -> tuple[str, datetime, float] | None:
        """For which event, since when, and how long beyond what is allowed."""
        since = next(
            (self.at[k] for k in ("order_accepted", "restaurant_notified", "order_placed") if k in self.at), None
        )
        if self.state in _ENDS or since is None:
            return None
        event, allowed = _WAITS[self.state]
        return event, since, (newest - since).total_seconds() - allowed


def plain_answers(
    events: Iterable[Event], rows: Iterable[datetime], window: Window, bucket: timedelta
) -> dict[str, Answer]:
    """The answers of the report, by the names of its questions.

    `events` are each there once; `rows` is when each record occurred, repeats and all.
    """
    inside = [one for one in events if _within(one["occurred_at"], window)]
    grouped: dict[str, list[Event]] = defaultdict(list)
    for one in inside:
        grouped[one["order_id"]].append(one)
    every = [Order(order_id, of_order) for order_id, of_order in grouped.items()]
    orders = [order for order in every if order.placed]
    newest = max((one["occurred_at"] for one in inside), default=datetime.min.replace(tzinfo=UTC))
    return {
        **_outcome(orders, newest),
        **_steps(orders, every, newest),
        **_demand(orders, inside, bucket),
        **_money(orders, bucket),
        **_customers(orders),
        "flow": _flow(inside),
        "data_quality": _quality(every, inside, sum(_within(at, window) for at in rows)),
    }


def _outcome(orders: list[Order], newest: datetime) -> dict[str, Answer]:
    states = Counter(order.state for order in orders)
    accepted = [one for order in orders if (one := order.between("order_placed", "order_accepted")) is not None]
    completed = [one for order in orders if (one := order.between("order_placed", "order_completed")) is not None]
    overview = {
        "orders": len(orders),
        **{state: states[state] for state in ("completed", "rejected", "cancelled", "expired")},
        "open": sum(states[state] for state in states if state not in _ENDS),
        "median_seconds_to_accepted": _quantile(accepted, 0.5),
        "median_seconds_to_completed": _quantile(completed, 0.5),
    }
    reached = [
        ("placed", len(orders)),
        (
            "notified",
            sum(
                "restaurant_notified" in order.at or order.state not in {"placed", "cancelled", "expired"}
                for order in orders
            ),
        ),
        ("accepted", states["accepted"] + states["completed"]),
        ("completed", states["completed"]),
    ]
    dropped: Counter[tuple[str, str]] = Counter()
    for order in orders:
        if order.state != "completed":
            dropped[_cause(order, newest)] += 1
    stages = ["placed", "notified", "accepted"]
    return {
        "overview": [overview],
        "funnel": [{"stage": name, "orders": count, "share": count / len(orders)} for name, count in reached],
        "drop_outs": [
            {"stage": stage, "cause": cause, "orders": count}
            for (stage, cause), count in sorted(
                dropped.items(), key=lambda one: (stages.index(one[0][0]), -one[1], one[0][1])
            )
        ],
    }


def _cause(order: Order, newest: datetime) -> tuple[str, str]:
    told = "restaurant_notified" in order.at
    waits = order.waits(newest)
    if waits is not None:
        words = {
            "placed": "restaurant not notified",
            "notified": "no answer from the restaurant",
            "accepted": "not completed",
        }
        return order.state, words[order.state] + (", overdue" if waits[2] > 0 else ", still in time")
    if order.state == "rejected":
        return "notified", f"rejected: {(order.reason or 'no reason given').replace('_', ' ')}"
    cause = "cancelled by the customer" if order.state == "cancelled" else "expired: no answer in time"
    return "notified" if told else "placed", cause


def _steps(orders: list[Order], every: list[Order], newest: datetime) -> dict[str, Answer]:
    took: dict[str, list[float]] = defaultdict(list)
    by_hour: dict[tuple[str, int], list[float]] = defaultdict(list)
    for order in every:
        for step, (heard, seconds, _) in order.steps.items():
            if seconds is not None:
                took[step].append(seconds)
                by_hour[step, order.at[heard].hour].append(seconds)
    allowed = {step: limit for step, (_, _, limit) in Order("", []).steps.items()}
    missed: dict[str, Counter[str]] = defaultdict(Counter)
    for order in orders:
        waits = order.waits(newest)
        found = {
            "answered_late": (order.steps["accept or reject"][1] or 0) > _TEN,
            "expired": order.state == "expired",
            "completed_late": (order.steps["prepare and complete"][1] or 0) > _TWO_HOURS,
            "overdue": waits is not None and waits[2] > 0,
        }
        missed[order.restaurant or ""].update({name: int(is_so) for name, is_so in found.items()})
        missed[order.restaurant or ""].update({"orders": 1, "missed": int(any(found.values()))})
    stuck = [(order, waits) for order in every if (waits := order.waits(newest)) is not None and waits[2] > 0]
    return {
        "step_latency": [
            {
                "step": step,
                "deadline_seconds": limit,
                "orders": len(took[step]),
                **{f"p{share}": _quantile(took[step], share / 100) for share in (50, 95, 99)},
                "longest": max(took[step]),
                "late": sum(seconds > limit for seconds in took[step]),
            }
            for step, limit in allowed.items()
            if took[step]
        ],
        "latency_by_hour": [
            {"step": step, "hour": hour, "orders": len(some), "p50": _quantile(some, 0.5), "p95": _quantile(some, 0.95)}
            for (step, hour), some in sorted(
                by_hour.items(), key=lambda one: (list(allowed).index(one[0][0]), one[0][1])
            )
        ],
        "missed_deadlines": _first(
            15,
            [{"restaurant_id": restaurant, **counts} for restaurant, counts in missed.items() if counts["missed"]],
            lambda row: (-row["missed"], row["restaurant_id"]),
        ),
        "stuck_orders": _first(
            20,
            [
                {
                    "order_id": order.order_id,
                    "restaurant_id": order.restaurant,
                    "state": order.state,
                    "waits_for": waits[0],
                    "since": waits[1],
                    "overdue_seconds": waits[2],
                }
                for order, waits in stuck
            ],
            lambda row: (-row["overdue_seconds"], row["order_id"]),
        ),
        "oldest_open": _first(
            10,
            [
                {
                    "order_id": order.order_id,
                    "restaurant_id": order.restaurant,
                    "state": order.state,
                    "placed_at": order.placed,
                    "age_seconds": (newest - order.at["order_placed"]).total_seconds(),
                }
                for order in orders
                if order.state not in _ENDS
            ],
            lambda row: (row["placed_at"], row["order_id"]),
        ),
    }


def _demand(orders: list[Order], inside: list[Event], bucket: timedelta) -> dict[str, Answer]:
    weekly = Counter((order.at["order_placed"].isoweekday(), order.at["order_placed"].hour) for order in orders)
    over_time: dict[datetime, Counter[str]] = defaultdict(Counter)
    for order in orders:
        kind = order.state if order.state in _ENDS else "open"
        over_time[_start(order.at["order_placed"], bucket)].update(["orders", kind])
    names = ("orders", "completed", "rejected", "cancelled", "expired", "open")
    items: dict[tuple[str, str, str], list[int]] = defaultdict(lambda: [0, 0])
    for event in inside:
        for item in event.get("items", []) if event["event_type"] == "order_placed" else []:
            sums = items[item["sku"], item["name"], event["currency"]]
            sums[0] += item["quantity"]
            sums[1] += item["quantity"] * item["unit_price"]
    return {
        "hour_by_weekday": [
            {"weekday": weekday, "hour": hour, "orders": count} for (weekday, hour), count in sorted(weekly.items())
        ],
        "orders_over_time": [
            {"placed_from": start, **{name: counts[name] for name in names}}
            for start, counts in sorted(over_time.items())
        ],
        "items": _first(
            15,
            [
                {"sku": sku, "name": name, "currency": currency, "quantity": quantity, "worth": worth}
                for (sku, name, currency), (quantity, worth) in items.items()
            ],
            lambda row: (-row["quantity"], row["sku"], row["name"], row["currency"]),
        ),
    }


def _money(orders: list[Order], bucket: timedelta) -> dict[str, Answer]:
    def grouped(*names: str, key: Callable[[Order], tuple[Any, ...]]) -> Answer:
        groups: dict[tuple[Any, ...], list[Order]] = defaultdict(list)
        for order in orders:
            groups[key(order)].append(order)
        return [
            {
                **dict(zip(names, place, strict=True)),
                "orders": len(some),
                "completed": sum(order.state == "completed" for order in some),
                "revenue": sum(order.total for order in some if order.state == "completed"),
            }
            for place, some in groups.items()
        ]

    days = grouped(
        "placed_from",
        "currency",
        key=lambda order: (_start(order.at["order_placed"], max(bucket, timedelta(days=1))), order.currency),
    )
    by_restaurant: dict[str | None, list[Order]] = defaultdict(list)
    for order in orders:
        by_restaurant[order.restaurant].append(order)
    answers = {
        name: _quantile([one for order in some if (one := order.steps["accept or reject"][1]) is not None], 0.5)
        for name, some in by_restaurant.items()
    }
    rejected = {name: sum(order.state == "rejected" for order in some) for name, some in by_restaurant.items()}
    slow = []
    for name, some in by_restaurant.items():
        waits = [one for order in some if (one := order.between("order_placed", "order_completed")) is not None]
        if len(waits) >= 5:
            slow.append(
                {
                    "restaurant_id": name,
                    "completed": len(waits),
                    "median_seconds_to_answer": answers[name],
                    "median_seconds": _quantile(waits, 0.5),
                    "p95_seconds": _quantile(waits, 0.95),
                }
            )
    in_all = [row for row in grouped("currency", key=lambda order: (order.currency,)) if row["completed"]]
    return {
        "revenue": [{name: row[name] for name in ("currency", "completed", "revenue")} for row in in_all],
        "revenue_over_time": sorted(days, key=lambda row: (row["placed_from"], row["currency"])),
        "revenue_by_city": _first(
            15,
            grouped("city", "currency", key=lambda order: (order.city, order.currency)),
            lambda row: (-row["orders"], row["city"], row["currency"]),
        ),
        "busiest_restaurants": _first(
            15,
            [
                row
                | {
                    "rejected": rejected[row["restaurant_id"]],
                    "median_seconds_to_answer": answers[row["restaurant_id"]],
                }
                for row in grouped("restaurant_id", "currency", key=lambda order: (order.restaurant, order.currency))
            ],
            lambda row: (-row["orders"], row["restaurant_id"]),
        ),
        "slow_restaurants": _first(10, slow, lambda row: (-row["median_seconds"], row["restaurant_id"])),
    }


def _customers(orders: list[Order]) -> dict[str, Answer]:
    placed: dict[str, list[datetime]] = defaultdict(list)
    for order in orders:
        placed[order.customer or ""].append(order.at["order_placed"])
    counts = [len(some) for some in placed.values()]
    each = Counter(min(count, 5) for count in counts)
    of_each = Counter[int]()
    for count in counts:
        of_each[min(count, 5)] += count
    again: dict[bool, list[float | None]] = defaultdict(list)
    for order in orders:
        if order.state == "completed":
            done, times = order.at["order_completed"], sorted(placed[order.customer or ""])
            behind = bisect_right(times, done)
            soon = (times[behind] - done).total_seconds() if behind < len(times) else None
            again["voucher_issued" in order.at].append(soon)
    return {
        "customers": [
            {
                "customers": len(counts),
                "returned": sum(count > 1 for count in counts),
                "orders": sum(counts),
                "orders_of_returned": sum(count for count in counts if count > 1),
            }
        ],
        "customers_by_orders": [
            {"orders_each": many, "customers": each[many], "orders": of_each[many]} for many in sorted(each)
        ],
        "vouchers": [
            {
                "voucher": voucher,
                "completed": len(again[voucher]),
                "ordered_again": sum(one is not None for one in again[voucher]),
                "median_seconds_to_next": _quantile([one for one in again[voucher] if one is not None], 0.5),
            }
            for voucher in sorted(again, reverse=True)
        ],
    }


def _flow(inside: list[Event]) -> Answer:
    found = mined_plainly([dict(event) for event in inside], CHOREOGRAPHY)
    late = Counter[tuple[int | None, str]]()
    for kind, _, names, place, _, times in found.deviations:
        if kind == "late":
            late[place, names[0]] += times
    rows = []
    for place, step in enumerate(CHOREOGRAPHY):
        for name in sorted(EVENT_TYPES[event] for event in step.publishes):
            took = found.edges.get((place, name), [])
            known = took if step.listens_to is not None else []
            rows.append(
                {
                    "step": place,
                    "actor": step.actor,
                    "hears": EVENT_TYPES[step.listens_to] if step.listens_to else None,
                    "tells": name,
                    "deadline_seconds": step.deadline.total_seconds() if step.deadline else None,
                    "told": len(took),
                    "p50": _quantile(known, 0.5),
                    "p95": _quantile(known, 0.95),
                    "late": late[place, name],
                }
            )
    return rows


def _quality(every: list[Order], inside: list[Event], rows: int) -> Answer:
    unplaced = {order.order_id for order in every if not order.placed}
    arriving = [(one["_arrived_at"] - one["occurred_at"]).total_seconds() for one in inside]
    return [
        {
            "rows": rows,
            "events": len(inside),
            "duplicates": rows - len(inside),
            "orders": len(every),
            "orders_without_placed": len(unplaced),
            "events_without_placed": sum(one["order_id"] in unplaced for one in inside),
            "orders_accepted_and_rejected": sum({"order_accepted", "order_rejected"} <= {*order.at} for order in every),
            "orders_completed_unaccepted": sum(
                "order_completed" in order.at and "order_accepted" not in order.at for order in every
            ),
            "orders_with_time_running_backwards": sum(
                any(seconds is not None and seconds < 0 for _, seconds, _ in order.steps.values()) for order in every
            ),
            "median_seconds_to_arrive": _quantile(arriving, 0.5),
            "p99_seconds_to_arrive": _quantile(arriving, 0.99),
            "first_event_at": min((one["occurred_at"] for one in inside), default=None),
            "last_event_at": max((one["occurred_at"] for one in inside), default=None),
        }
    ]


def _within(at: datetime, window: Window) -> bool:
    return (window.since is None or at >= window.since) and (window.until is None or at < window.until)


def _quantile(values: Sequence[float], share: float) -> float | None:
    return float(np.quantile(values, share)) if values else None


def _first(count: int, rows: Answer, key: Callable[[dict[str, Any]], Any]) -> Answer:
    return sorted(rows, key=key)[:count]


def _start(at: datetime, bucket: timedelta) -> datetime:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return at - (at - epoch) % bucket
