"""The overview for the operations page: one gatherer for all pages of a process, which looks only when one asks."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from foundation.clock import Clock, Wait
from producers.pages.operations import ConsumerRow, LateStep, OldestOrder, Operations, ShardRow
from takeaway.overview.facts import ConsumerFlow, Orders, Overview, Unknown
from takeaway.overview.findings import problems, seconds_in_words
from takeaway.overview.gathering import Gatherer
from takeaway.overview.screen import owner_of, step_in_words
from takeaway.standing import Verdict

# Of all pages together; a page asks every three seconds.
EVERY_SECONDS = 2.0
# Less than a page waits for its next look.
_WITHIN = 2.5


class Lookout:
    """Answers with the latest look; safe for threads. Made where it is first asked for: no page, no look."""

    def __init__(self, gatherer: Callable[[], Gatherer], clock: Clock) -> None:
        self._make = gatherer
        self._clock = clock
        self._gatherer: Gatherer | None = None
        self._looked: Operations | None = None
        self._looked_at = float("-inf")
        self._looking = threading.Lock()

    def look(self) -> Operations:
        """A look that is no older than `EVERY_SECONDS`. Who asks while one is under way is given that one."""
        asked_at = self._clock.monotonic()
        with self._looking:
            # guarantee: all open pages of a process share one look
            if self._looked is None or self._looked_at < asked_at - EVERY_SECONDS:
                self._gatherer = self._gatherer or self._make()
                self._looked = page_facts(self._gatherer.look())
                self._looked_at = self._clock.monotonic()
            return self._looked


def lookout(environ: Mapping[str, str], home: Path, clock: Clock, wait: Wait) -> Lookout:
    return Lookout(lambda: Gatherer(environ, home, clock=clock, wait=wait, within=_WITHIN), clock)


def page_facts(overview: Overview) -> Operations:
    """What the page shows of it. Pure."""
    events = () if isinstance(overview.events, Unknown) else overview.events
    shards = () if isinstance(overview.shards, Unknown) else overview.shards
    parts = {"the stream": overview.shards, "the orders": overview.orders, "the dead letters": overview.letters}
    found = Operations(
        at=overview.at,
        since=overview.since,
        problems=problems(overview),
        unknown=tuple(f"{name}: {part.unknown}" for name, part in parts.items() if isinstance(part, Unknown)),
        counts={one.event_type: one.count for one in events},
        rates={one.event_type: one.per_second for one in events},
        shards=tuple(
            ShardRow(
                one.shard_id,
                one.records_per_second,
                None if one.bytes_per_second is None else one.bytes_per_second / 1024,
                one.share,
                one.hot,
            )
            for one in shards
        ),
        consumers=tuple(_consumer(one, overview) for one in overview.consumers),
    )
    return found if isinstance(overview.orders, Unknown) else _with_orders(found, overview.orders)


def _with_orders(found: Operations, orders: Orders) -> Operations:
    more = "≥" * orders.open.at_least
    missed = orders.missed
    return replace(
        found,
        orders=tuple(
            OldestOrder(one.state, f"{more}{orders.open.by_state[one.state]:,}", one.order_id, one.placed_at)
            for one in orders.open.oldest.values()
        ),
        missed=f"{missed.count:,}{'+' * (missed.at_least and missed.count > 0)}",
        late=tuple(
            LateStep(one.order_id, one.actor, " or ".join(one.tells), one.owner, one.due) for one in missed.oldest
        ),
        slowest="" if orders.slowest is None else step_in_words(orders.slowest),
    )


def _consumer(consumer: ConsumerFlow, overview: Overview) -> ConsumerRow:
    lag = consumer.lag
    letters = {} if isinstance(overview.letters, Unknown) else {one.consumer: one for one in overview.letters}
    mine = [letters[name] for name in (consumer.name, *consumer.hosts) if name in letters]
    known = mine and not any(one.trouble for one in mine)
    return ConsumerRow(
        consumer.name,
        is_well=consumer.trouble is None and consumer.verdict in {Verdict.OK, Verdict.WARN},
        lag="?" if lag is None else f"{'≥' * lag.at_least}{lag.records:,}",
        waits="?" if lag is None else seconds_in_words(lag.seconds),
        letters=f"{sum(one.count for one in mine):,}" if known else "?",
        owner=owner_of(consumer),
        waiting=None if lag is None else lag.of_types,
        order_id=lag.oldest.order_id if lag is not None and lag.oldest is not None else None,
    )
