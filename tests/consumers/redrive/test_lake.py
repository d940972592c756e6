"""The archiver's dead letters: once their cause has gone they become rows, and the audit finds nothing amiss."""

import json
from contextlib import suppress
from typing import Any

import msgspec
import pytest

from analytics.maintenance.late import LateRows
from consumers.archiver import Archiver
from consumers.dead_letters.claims import CLAIMED_FOR
from consumers.dead_letters.set_apart import SetsApart
from consumers.processing import ShardAssignment
from consumers.redrive.lake import IntoLake
from consumers.redrive.redrive import Fate, Summary
from events import wire
from events.orders import OrderPlaced
from events.wire import encode
from foundation.bucket import Bucket
from foundation.kinesis.records import Record, Sentinel
from tests.support.builders import a_batch, a_record, an_envelope
from tests.support.fakes.bucket import Gate
from tests.support.worlds.lake_world import KEYS, SHARD, STREAM, Crash
from tests.support.worlds.lake_world import World as Lake
from tests.support.worlds.redrive_world import World


class Scene:
    """One archiver, its letters, and redrives of them; `learn` deploys what knows what `euro` is."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.lake = Lake()
        self.world = World(clock=self.lake.clock)
        self._monkeypatch = monkeypatch

    def archive(self, *records: Record) -> None:
        archiver = Archiver(
            ShardAssignment(STREAM, SHARD, Sentinel.TRIM_HORIZON),
            sink=self.lake.sink(),
            keys=KEYS,
            apart=SetsApart(
                "archiver", self.world.letters, clock=self.lake.clock.clock, emit=self.lake.diagnostics.append
            ),
            clock=self.lake.clock.clock,
        )
        archiver.process(a_batch(*records))
        archiver.flush()

    def learn(self) -> None:
        decoders: Any = wire._event_decoders
        self._monkeypatch.setitem(decoders, ("order_placed", 1), Lenient())

    def redrive(self, gate: Gate | None = None) -> Summary:
        gate = gate or Gate()
        bucket = Bucket(self.lake.bucket.through(gate), self.lake.bucket.name)
        rows = LateRows(bucket, self.lake.log.through(gate), self.lake.clock.clock, self.lake.diagnostics.append, KEYS)
        return self.world.redrive(gate, way=IntoLake(rows, self.lake.clock.clock))


class Lenient:
    """Takes `euro` for a currency."""

    def decode(self, data: bytes) -> OrderPlaced:
        return msgspec.json.decode(data.replace(b"euro", b"EUR"), type=OrderPlaced)


def in_euro(number: int) -> Record:
    fields = json.loads(encode(an_envelope(order_id=f"order-{number}", cause=f"key-{number}")))
    return a_record(number, data=json.dumps(fields | {"currency": "euro"}).encode())


RECORDS = (a_record(1), in_euro(2), a_record(3), in_euro(4))


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    return Scene(monkeypatch)


def test_what_is_still_unreadable_fails_again(scene: Scene) -> None:
    scene.archive(*RECORDS)
    assert scene.redrive().counts == {Fate.FAILED: 2}
    assert [stored.letter.attempts for stored in scene.world.stored()] == [2, 2]
    assert [stored.letter.verdict for stored in scene.world.stored()] == ["the record's"] * 2
    assert scene.lake.archived() == [1, 3]


@pytest.mark.slow
def test_once_it_can_be_read_a_letter_becomes_a_row(scene: Scene) -> None:
    scene.archive(*RECORDS)
    scene.learn()
    assert scene.redrive().counts == {Fate.DONE: 2}
    assert sorted(scene.lake.archived()) == [1, 2, 3, 4]
    assert scene.world.stored() == []
    scene.archive(*RECORDS)
    assert sorted(scene.lake.archived()) == [1, 2, 3, 4]


def test_a_letter_that_the_lake_has_not_come_past_is_held_back(scene: Scene) -> None:
    scene.archive(*RECORDS)
    (letter, _) = scene.world.stored()
    scene.learn()
    scene.lake.bucket.objects.clear()
    summary = scene.redrive()
    assert summary.counts == {Fate.HELD_BACK: 2}
    assert "let the archiver come past it" in str(summary.letters[0].why)
    assert scene.world.stored()[0].letter == letter.letter


def test_what_is_in_the_lake_already_is_known(scene: Scene) -> None:
    scene.archive(*RECORDS)
    scene.learn()
    letters = [stored.letter for stored in scene.world.stored()]
    way = IntoLake(
        LateRows(
            Bucket(scene.lake.bucket.client, scene.lake.bucket.name),
            scene.lake.log,
            scene.lake.clock.clock,
            scene.lake.diagnostics.append,
            KEYS,
        ),
        scene.lake.clock.clock,
    )
    assert way.done_before(letters) == frozenset()
    scene.redrive()
    assert way.done_before(letters) == {letter.key for letter in letters}


def calls_of_a_redrive() -> range:
    with pytest.MonkeyPatch.context() as monkeypatch:
        scene, gate = Scene(monkeypatch), Gate()
        scene.archive(*RECORDS)
        scene.learn()
        scene.redrive(gate)
    return range(1, gate.calls + 1)


CALLS = calls_of_a_redrive()


@pytest.mark.slow
@pytest.mark.parametrize("applied", [False, True])
@pytest.mark.parametrize("at", CALLS)
def test_killed_at_any_call_the_next_redrive_into_the_lake_ends_it(scene: Scene, at: int, applied: bool) -> None:
    def die() -> None:
        raise Crash

    scene.archive(*RECORDS)
    scene.learn()
    with suppress(Crash):
        scene.redrive(Gate(at, die, applied=applied))
    scene.lake.clock.advance(CLAIMED_FOR.total_seconds())
    scene.redrive()
    assert sorted(scene.lake.archived()) == [1, 2, 3, 4]
    assert scene.world.stored() == []


@pytest.mark.slow
@pytest.mark.parametrize("frozen_for", [0.0, CLAIMED_FOR.total_seconds()])
@pytest.mark.parametrize("at", CALLS)
def test_two_at_once_even_beyond_their_claims_add_each_row_once(scene: Scene, at: int, frozen_for: float) -> None:
    def another() -> None:
        scene.lake.clock.advance(frozen_for)
        scene.redrive()

    scene.archive(*RECORDS)
    scene.learn()
    scene.redrive(Gate(at, another))
    scene.lake.clock.advance(CLAIMED_FOR.total_seconds())
    scene.redrive()
    assert sorted(scene.lake.archived()) == [1, 2, 3, 4]
    assert scene.world.stored() == []
