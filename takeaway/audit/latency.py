"""How long it took to tell somebody: from the moment the load intended to the service's own time stamp."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from foundation.percentiles import percentile
from takeaway.audit.account import ANSWERED
from takeaway.audit.facts import Effect

# What a message of each kind answers, in words.
AFTER = {
    "ticket": "the intended placing",
    "withdrawal": "the intended end",
    "e-mail": "the intended answer",
}


@dataclass(frozen=True)
class Latency:
    """Of messages of one kind that could be timed."""

    kind: str
    messages: int
    p50: timedelta
    p99: timedelta

    def __str__(self) -> str:
        p50, p99 = self.p50.total_seconds(), self.p99.total_seconds()
        return f"{self.kind} p50 {p50:.2f} s, p99 {p99:.2f} s after {AFTER[self.kind]}"


def latencies(intended_at: Mapping[str, datetime], effects: Iterable[Effect]) -> tuple[Latency, ...]:
    """By kind of message; `intended_at` is by the id of the event that the message answers.

    Counted from the intended time, so a load that falls behind, or a slow API, makes it longer and not invisible.
    A repeated message counts by its first arrival.
    """
    effects = list(effects)
    found: list[Latency] = []
    for kind in ANSWERED:
        arrivals: dict[str, datetime] = {}
        for effect in effects:
            if effect.kind == kind and effect.sent_at is not None and effect.event_id in intended_at:
                arrivals[effect.event_id] = min(arrivals.get(effect.event_id, effect.sent_at), effect.sent_at)
        took = [sent_at - intended_at[event_id] for event_id, sent_at in arrivals.items()]
        if took:
            found.append(Latency(kind, len(took), percentile(took, 50), percentile(took, 99)))
    return tuple(found)
