"""Handing leases over, in any order of the workers' calls, with lost answers, throttling and crashes at every step.

Nothing here runs in a thread: a dice says who does what next, also between two calls of one operation.
"""

import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from consumers.diagnostics import LeaseHandedOver, LeaseLost
from consumers.engines.worker.leases.fleet import OwnFleet
from consumers.engines.worker.leases.keeper import HeldLease, LeaseKeeper
from consumers.engines.worker.leases.lease import Lease
from consumers.engines.worker.leases.table import LeaseTable
from foundation.diagnostics import Diagnostic
from foundation.kinesis.records import Sentinel, SequenceNumber
from tests.support.fakes.clock import FakeClock
from tests.support.fakes.leases import FakeDynamoDB

pytestmark = pytest.mark.slow

FAILOVER = 10.0
SHARDS = 6
NOTHING_DONE = 0
SEEDS = [*range(3), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(3, 30))]


@dataclass
class Dice:
    """The world: a table, workers, and what they did to each shard's records, which are numbered from 1."""

    seed: int
    faults: bool = False
    effects: dict[str, list[int]] = field(default_factory=dict)
    happened: list[Diagnostic] = field(default_factory=list)
    actors: list["Actor"] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.time = FakeClock()
        self.dynamodb = FakeDynamoDB()
        self.table = LeaseTable(self.dynamodb.client, "leases", "onlooker")
        self.table.create(self.time.wait)
        for number in range(SHARDS):
            self.table.add(Lease(f"shardId-{number}", Sentinel.TRIM_HORIZON))
        self.dynamodb.between = self.between
        self.depth = 0

    def between(self) -> None:
        """Before each call of one worker another may get its turn, and the call may fail, or its answer be lost."""
        if self.depth < 2 and self.random.random() < 0.3:
            self.depth += 1
            busy = {actor for actor in self.actors if actor.is_busy}
            if idle := [actor for actor in self.actors if actor not in busy]:
                self.random.choice(idle).step()
            self.depth -= 1
        if self.faults and self.random.random() < 0.1:
            operation = self.random.choice(["update_item", "get_item", "scan"])
            if self.random.random() < 0.5:
                self.dynamodb.lose_answer(operation)
            else:
                self.dynamodb.fail(operation, "ThrottlingException")

    def run(self, steps: int) -> None:
        for _ in range(steps):
            self.time.advance(self.random.random() * 0.2)
            if self.actors:
                self.random.choice(self.actors).step()

    def join(self, name: str) -> "Actor":
        self.actors.append(actor := Actor(self, name))
        return actor

    def kill(self, actor: "Actor") -> None:
        self.actors.remove(actor)

    def reads(self) -> dict[str, list[str]]:
        """Who reads each shard now."""
        return {
            lease.shard_id: [actor.name for actor in self.actors if lease.shard_id in actor.keeper.held]
            for lease in self.table.list().values()
        }


class Actor:
    """A worker: its keeper and its fleet are the real ones; a shard's thread is a loop of `process`."""

    def __init__(self, dice: Dice, name: str) -> None:
        self.name = name
        self.is_busy = False
        self.running: dict[str, Reading] = {}
        self._dice = dice
        self._table = LeaseTable(dice.dynamodb.client, "leases", name)
        self._fleet = OwnFleet(self._table, failover=FAILOVER, usual=FAILOVER / 2, soon=FAILOVER / 10)
        self.keeper = LeaseKeeper(
            self._table, throughput=lambda _: None, clock=dice.time.clock, failover=FAILOVER, emit=dice.happened.append
        )
        self._look_at = self._renew_at = dice.time.monotonic()

    def step(self) -> None:
        """One thing that is due, or else one record."""
        self.is_busy = True
        now = self._dice.time.monotonic()
        try:
            if now >= self._renew_at:
                self._renew_at = now + (FAILOVER / 3 if self.keeper.renew_all() else FAILOVER / 10)
            elif now >= self._look_at:
                self._look_at = now + 1
                self._look_at = now + self._look()
            elif self.running:
                self._dice.random.choice(sorted(self.running.values(), key=lambda each: each.shard_id)).step()
        except (ClientError, ReadTimeoutError):
            pass
        finally:
            self.is_busy = False

    def _look(self) -> float:
        asked_at = self._dice.time.monotonic()
        leases = self._table.list()
        moves = self._fleet.look(leases, self.keeper.held, asked_at, self._dice.time.monotonic())
        for lease in moves.take:
            if lease.shard_id not in self.running and (held := self.keeper.take(lease)):
                self.running[lease.shard_id] = Reading(self._dice, self, held)
        for lease in moves.ask_for:
            self._table.ask_for(lease)
        return moves.look_in


class Reading:
    """A shard's thread: an effect, then its checkpoint; at the end it lets the lease go."""

    def __init__(self, dice: Dice, actor: Actor, held: HeldLease) -> None:
        self.shard_id = held.shard_id
        self._dice = dice
        self._actor = actor
        self._held = held
        done = held.checkpoint
        self._done = int(done.number) if isinstance(done, SequenceNumber) else NOTHING_DONE

    def step(self) -> None:
        if self._held.lost:
            self._end(self._held.give_up)
        elif self._is_behind():
            self._held.write_checkpoint(SequenceNumber(str(self._done)))
        elif self._held.ending.is_set():
            self._end(self._held.let_go)
        else:
            self._done += 1
            self._dice.effects.setdefault(self.shard_id, []).append(self._done)

    def _is_behind(self) -> bool:
        return self._done > NOTHING_DONE and self._held.checkpoint != SequenceNumber(str(self._done))

    def _end(self, end: Callable[[], Any]) -> None:
        end()
        self._actor.keeper.drop(self._held)
        del self._actor.running[self.shard_id]


@pytest.mark.parametrize("faults", [False, True], ids=["calm", "with lost answers and throttling"])
@pytest.mark.parametrize("seed", SEEDS)
def test_without_a_crash_no_effect_is_repeated_and_none_left_out(seed: int, faults: bool) -> None:
    dice = Dice(seed, faults=faults)
    dice.join("worker-1")
    dice.run(200)
    dice.join("worker-2")
    dice.run(1_500)
    dice.join("worker-3")
    dice.run(2_500)
    assert {shard: done == list(range(1, len(done) + 1)) for shard, done in dice.effects.items()} == dict.fromkeys(
        (f"shardId-{number}" for number in range(SHARDS)), True
    )
    dice.faults = False
    dice.run(1_000)
    assert sorted(len(actor.keeper.held) for actor in dice.actors) == [2, 2, 2]
    handed_over = [event for event in dice.happened if isinstance(event, LeaseHandedOver)]
    assert 5 <= len(handed_over) <= (9 if faults else 5)


@pytest.mark.parametrize("seed", SEEDS)
def test_after_a_crash_at_any_step_all_is_read_on_and_only_what_was_under_way_repeats(seed: int) -> None:
    dice = Dice(seed, faults=True)
    for name in ("worker-1", "worker-2", "worker-3"):
        dice.join(name)
    dice.run(400)
    kills = 0
    for number in range(4):
        dice.join(f"worker-{number + 4}")
        dice.run(dice.random.randrange(80))  # into the middle of what the newcomer sets off
        dice.kill(dice.random.choice(dice.actors))
        kills += 1
        dice.run(600)
    dice.faults = False
    dice.run(3_000)
    before = {shard: len(done) for shard, done in dice.effects.items()}
    assert all(len(readers) == 1 for readers in dice.reads().values())
    dice.run(500)
    for shard, done in dice.effects.items():
        assert len(done) > before[shard], "nobody reads it on"
        steps = [later - earlier for earlier, later in itertools.pairwise(done)]
        assert max(steps) == 1, "a record was left out"
        repeats = [step for step in steps if step < 1]
        # One effect without its checkpoint for each holder that died; a lease lost to a fault is one more.
        assert all(step == 0 for step in repeats)
        assert len(repeats) <= kills + sum(isinstance(event, LeaseLost) for event in dice.happened)
