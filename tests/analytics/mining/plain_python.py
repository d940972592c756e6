"""What mining must find, worked out once more, event by event in plain Python: slow, and without SQL."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from events.choreography import Bound, Step
from events.orders import EVENT_TYPES, OrderAccepted, OrderCancelled, OrderExpired, OrderRejected
from events.states import TRANSITIONS

Row = dict[str, Any]


@dataclass
class Found:
    """`deviations`: kind, order, event types, the step's place, seconds of the worst, how many alike."""

    deviations: set[tuple[str, str, tuple[str, ...], int | None, float | None, int]] = field(default_factory=set)
    edges: dict[tuple[int, str], list[float]] = field(default_factory=lambda: defaultdict(list))
    variants: Counter[tuple[str, ...]] = field(default_factory=Counter)
    newest: datetime | None = None


def mined_plainly(
    rows: Sequence[Row],
    steps: Sequence[Step],
    speed: float = 1.0,
) -> Found:
    return _Plainly(rows, steps, speed).found


@dataclass
class _Candidate:
    place: int
    heard: Row | None
    is_named: bool
    took: float


class _Plainly:
    def __init__(self, rows: Sequence[Row], steps: Sequence[Step], speed: float) -> None:
        self.steps, self.speed, self.found = steps, speed, Found()
        self.told = [[EVENT_TYPES[event] for event in step.publishes] for step in steps]
        self.heard = [None if step.listens_to is None else EVENT_TYPES[step.listens_to] for step in steps]
        pairs = zip(self.heard, self.told, strict=True)
        named = [name for heard, told in pairs for name in ([*told] if heard is None else [heard, *told])]
        self.types = list(dict.fromkeys(named))
        self.newest = max((min(row["occurred_at"], row["_arrived_at"]) for row in rows), default=None)
        self.found.newest = self.newest
        self.endings = self._endings()
        orders: dict[str, list[Row]] = defaultdict(list)
        for row in rows:
            orders[row["order_id"]].append(row)
        for order_id, events in orders.items():
            self._order(order_id, events)

    def _endings(self) -> set[str]:
        """Told by a command, and no walk from it comes to another command."""
        commands = self._places(handlers=False)
        told = {name for place in commands for name in self.told[place]}
        return {name for name in told if not any(self.heard[place] in self._walk(name) for place in commands)}

    def _walk(self, name: str) -> set[str]:
        """All that can follow from it, and itself."""
        reached, waiting = set[str](), [name]
        while waiting:
            reached.add(waiting.pop())
            following = [self.told[at] for at, heard in enumerate(self.heard) if heard in reached]
            waiting += [other for told in following for other in told if other not in reached]
        return reached

    def _places(self, *, handlers: bool) -> list[int]:
        return [at for at, step in enumerate(self.steps) if (step.bound_by is Bound.HANDLER) is handlers]

    def _deadline(self, place: int, heard: Row, accept_by: datetime | None) -> timedelta | None:
        step = self.steps[place]
        if step.deadline is None or step.listens_to is None or not step.publishes:
            return None
        if step.bound_by is Bound.HANDLER:
            return step.deadline
        if {OrderAccepted, OrderRejected, OrderCancelled, OrderExpired} & {*step.publishes}:
            # The order's own word, and without one some seconds at least.
            answer = max(timedelta(minutes=10) / self.speed, timedelta(seconds=20))
            answer = answer if accept_by is None else accept_by - heard["occurred_at"]
            return step.deadline - timedelta(minutes=10) + answer
        return step.deadline / self.speed

    def _order(self, order_id: str, events: list[Row]) -> None:
        foreign = sorted({row["event_type"] for row in events} - {*self.types})
        rank = {name: at for at, name in enumerate([*self.types, *foreign])}
        events = sorted(events, key=lambda row: (row["occurred_at"], rank[row["event_type"]]))
        self.found.variants[tuple(row["event_type"] for row in events)] += 1
        by_type: dict[str, list[Row]] = defaultdict(list)
        for row in events:
            by_type[row["event_type"]].append(row)
        starts = {name for at, heard in enumerate(self.heard) if heard is None for name in self.told[at]} & {
            *self.heard
        }
        is_placed = any(by_type.get(name) for name in starts)

        def note(
            kind: str, names: Sequence[str], place: int | None = None, seconds: float | None = None, times: int = 1
        ) -> None:
            self.found.deviations.add((kind, order_id, tuple(names), place, seconds, times))

        if not is_placed and events[0]["event_type"] in self.types:
            note("never placed", [events[0]["event_type"]])
        self._pair(events, by_type, note, is_placed=is_placed, starts=starts)
        answers = [told for heard, told in zip(self.heard, self.told, strict=True) if heard is not None]
        by_state: dict[str | None, list[str]] = defaultdict(list)
        for one in TRANSITIONS:
            by_state[one.before].append(EVENT_TYPES[one.event])
        exits = [[name for name in names if name in self.types] for names in by_state.values()]
        groups = {tuple(sorted(names, key=self.types.index)) for names in [*answers, *exits, self.endings]}
        for group in groups:
            present = [name for name in group if by_type.get(name)]
            if len(present) > 1:
                note("contradictory", present)
        for name in self.types:
            handlers = [self.heard[at] for at in self._places(handlers=True) if name in self.told[at]]
            present = [heard for heard in handlers if heard is not None and by_type.get(heard)]
            if len(by_type.get(name, [])) > max(1, len(present)):
                note("twice", [name], times=len(by_type[name]))

    def _pair(self, events: list[Row], by_type: Any, note: Any, *, is_placed: bool, starts: set[str]) -> None:
        answers: dict[tuple[int, str], list[Row]] = defaultdict(list)
        answered: set[tuple[int, str]] = set()
        said = [(row["occurred_at"], row["accept_by"]) for row in events if row["accept_by"] is not None]
        accept_by = min(said)[1] if said else None
        wrong: dict[str, list[tuple[float | None, int | None]]] = defaultdict(list)
        for row in events:
            name = row["event_type"]
            tellers = [at for at in range(len(self.steps)) if name in self.told[at]]
            candidates = [one for at in tellers if (one := self._candidate(row, at, by_type)) is not None]
            if not candidates:
                if tellers and (is_placed or not all(self.heard[at] in starts for at in tellers)):
                    wrong[name].append((None, None))
                continue
            best = max(candidates, key=lambda one: (one.is_named, one.took >= 0, -one.took, -one.place))
            if best.heard is not None:
                answered.add((best.place, best.heard["event_id"]))
            if best.took < 0:
                wrong[name].append((-best.took, best.place))
                continue
            self.found.edges[best.place, name].append(best.took)
            if best.heard is not None:
                within = self._deadline(best.place, best.heard, accept_by)
                answers[best.place, best.heard["event_id"]].append(row | {"took": best.took, "within": within})
        for name, several in wrong.items():
            seconds, place = max(several, key=lambda one: -1.0 if one[0] is None else one[0])
            note("wrong order", [name], place, seconds, len(several))
        self._late(answers, note)
        self._not_told(by_type, answered, note, accept_by)

    def _candidate(self, row: Row, at: int, by_type: Any) -> "_Candidate | None":
        """What the step at this place may have told it of; a step that hears nothing is the last one thought of."""
        if self.heard[at] is None:
            return _Candidate(at, None, False, float("inf"))
        same = by_type.get(self.heard[at], [])
        named = [one for one in same if one["event_id"] == row["cause"]]
        is_named = bool(named) and self.steps[at].bound_by is Bound.HANDLER
        if not same:
            return None
        heard = named[0] if is_named else same[0]
        return _Candidate(at, heard, is_named, (row["occurred_at"] - heard["occurred_at"]) / timedelta(seconds=1))

    def _late(self, answers: dict[tuple[int, str], list[Row]], note: Any) -> None:
        late: dict[tuple[int, str], list[float]] = defaultdict(list)
        for (at, _), told in answers.items():
            deadline = told[0]["within"]
            if deadline is not None and min(row["took"] for row in told) > deadline.total_seconds():
                for row in told:
                    late[at, row["event_type"]].append(row["took"])
        for (at, name), took in late.items():
            note("late", [name], at, max(took), len(took))

    def _not_told(self, by_type: Any, answered: set[tuple[int, str]], note: Any, accept_by: datetime | None) -> None:
        assert self.newest is not None
        commands = [name for place in self._places(handlers=False) for name in self.told[place]]
        for at, step in enumerate(self.steps):
            heard = by_type.get(self.heard[at], [])
            deadline = self._deadline(at, heard[0], accept_by) if heard else None
            if deadline is None or not step.publishes:
                continue
            if step.bound_by is Bound.HANDLER:
                waits = [
                    (self.newest - row["occurred_at"]).total_seconds()
                    for row in heard
                    if (at, row["event_id"]) not in answered and self.newest - row["occurred_at"] > deadline
                ]
                if waits:
                    note("missing", [], at, max(waits), len(waits))
            elif not any(by_type.get(name) for name in commands if self.heard[at] not in self._walk(name)):
                waited = self.newest - heard[0]["occurred_at"]
                if waited > deadline:
                    note("overdue", [], at, waited.total_seconds())


def quantile(seconds: Sequence[float], share: float) -> float:
    return float(np.quantile(seconds, share))
