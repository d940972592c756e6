"""The real archiver under each engine: its rows are in the lake once, whichever of its calls is its process' last."""

import math
import re
from datetime import timedelta
from typing import Any

import pytest

from analytics.archiving.diagnostics import LakeGapAccepted
from analytics.rotation import RotationPolicy
from consumers.archiver import Archiver
from consumers.dead_letters.set_apart import SetsApart
from consumers.diagnostics import ShardStopped
from consumers.processing import ProcessorFactory
from events.wire import encode
from foundation.kinesis.records import Sentinel, SequenceNumber, position_key
from tests.conformance.conftest import MAKES
from tests.conformance.differences import ENGINES, LAMBDA
from tests.conformance.engine import FIRST, Engine, Gone
from tests.conformance.scene import Scene
from tests.support.builders import an_envelope, nested, packed, with_field
from tests.support.fakes.bucket import Gate
from tests.support.worlds.lake_world import KEYS, World

EACH_BATCH = RotationPolicy(rows=1, age=timedelta(0))


class Letters:
    def put(self, letter: Any) -> None:
        raise AssertionError(f"{letter.key} is no bad record")


class Archive:
    """A lake that outlives processes. The first process dies at its call number `dies_at`, before it or after it."""

    def __init__(
        self,
        name: str = "",
        *,
        scene: Scene | None = None,
        engine: Engine | None = None,
        dies_at: float = math.inf,
        applied: bool = False,
    ) -> None:
        self.scene = scene or Scene()
        self.world = World(clock=self.scene.time)
        self.engine: Engine = engine or MAKES[name](self.scene)
        self.accepted_gaps: list[str] = []
        self.has_died = False
        self._dies_at = dies_at
        self._applied = applied
        self.scene.consumer = self._process

    def put(self, *causes: str) -> list[str]:
        data = [encode(an_envelope(cause=cause)) for cause in causes]
        self.scene.put_data(*data[:2])
        self.scene.put_data(packed(data[2:], "order-1"))
        return [record["SequenceNumber"] for record in self.scene.kinesis.records()]

    def end(self) -> None:
        self.engine.end()
        assert all(isinstance(crash, Gone) for crash in self.scene.threads.crashes)

    def _process(self, scene: Scene) -> ProcessorFactory:
        gate = Gate() if self.has_died else Gate(self._last_call, self._die, applied=self._applied)
        sink = self.world.sink(gate, policy=EACH_BATCH, accepted_gaps=self.accepted_gaps)
        return lambda assignment: Archiver(
            assignment,
            sink=sink,
            keys=KEYS,
            apart=SetsApart("archiver", Letters(), clock=scene.time.clock, emit=scene.happened.append),
            clock=scene.time.clock,
        )

    @property
    def _last_call(self) -> int:
        return 0 if math.isinf(self._dies_at) else int(self._dies_at)

    def _die(self) -> None:
        self.has_died = True
        self.engine.die()


@pytest.mark.slow
@pytest.mark.parametrize("applied", [False, True])
@pytest.mark.parametrize("name", ENGINES)
def test_every_row_is_in_the_lake_once_whichever_call_was_the_last(name: str, applied: bool) -> None:
    call, has_died = 0, True
    while has_died:
        call += 1
        archive = Archive(name, dies_at=call, applied=applied)
        numbers = archive.put("a", "b", "c", "d")
        archive.engine.start()
        archive.scene.run(10)
        archive.engine.start()
        archive.scene.run(30)
        rows = [int(number) for number in (numbers[0], numbers[1], numbers[2], numbers[2])]
        assert archive.world.archived() == rows, f"after call {call}"
        assert position_key(archive.engine.checkpoint())[0] == int(numbers[-1])
        assert not archive.scene.all(ShardStopped)
        archive.end()
        has_died = archive.has_died
    assert call > 10


@pytest.mark.parametrize("name", ENGINES)
def test_what_came_without_a_partition_key_is_in_the_lake_in_its_place(name: str) -> None:
    archive = Archive(name)
    archive.scene.put_data(encode(an_envelope(cause="a")))
    archive.scene.put_without_key(encode(an_envelope(cause="b")), with_field("x", nested(700)))
    archive.scene.put_data(encode(an_envelope(cause="d")))
    archive.engine.start()
    archive.scene.run(10)
    archive.engine.start()
    archive.scene.run(30)
    assert archive.world.archived() == [int(record["SequenceNumber"]) for record in archive.scene.kinesis.records()]
    archive.end()


@pytest.fixture
def gone(engine: Engine, scene: Scene) -> Archive:
    """Another process finds the shard gone, a day after it was closed with records that no process had read."""
    archive = Archive(engine=engine, scene=scene)
    archive.put("a", "b", "c")
    engine.start()
    scene.run(20)
    engine.stop()
    scene.time.advance(3600)
    scene.put_data(*[encode(an_envelope(cause=f"unread-{number}")) for number in range(3)])
    scene.split()
    scene.time.advance(25 * 3600)
    scene.put_data(encode(an_envelope(cause="after")))
    scene.happened.clear()
    engine.start()
    scene.run(60)
    return archive


@pytest.mark.slow
def test_an_archiver_stops_at_a_shard_that_is_gone_with_unread_records(
    scene: Scene, engine: Engine, gone: Archive
) -> None:
    assert len(gone.world.visible()) == 3
    stopped = scene.all(ShardStopped)
    assert {each.shard_id for each in stopped} == {FIRST}
    (gap,) = re.findall(r'TAKEAWAY_LAKE_ACCEPT_GAP="(.+?)"', str(stopped[0].error))
    engine.stop()
    gone.accepted_gaps = [gap]
    engine.start()
    scene.run(60)
    assert len(gone.world.visible()) == 4
    assert [told.after for told in gone.world.seen(LakeGapAccepted)] == ["SHARD_END"]
    assert engine.checkpoint() is Sentinel.SHARD_END


def test_on_lambda_what_the_lake_has_already_is_not_archived_again() -> None:
    """The answer of an invocation is lost, after its rows are in the lake."""
    archive = Archive(LAMBDA)
    numbers = archive.put("a", "b", "c", "d")
    archive.engine.lose_answer()
    archive.engine.start()
    archive.scene.run(10)
    assert archive.world.archived() == [int(number) for number in (numbers[0], numbers[1], numbers[2], numbers[2])]
    assert archive.engine.checkpoint(FIRST) == SequenceNumber(numbers[-1])
    archive.end()
