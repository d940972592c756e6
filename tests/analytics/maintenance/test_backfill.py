"""History comes into the lake once, however often it is loaded and wherever that breaks off."""

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

import msgspec
import pytest

from analytics.archiving.diagnostics import SliceLoaded
from analytics.maintenance.backfill import AnotherHistory, BadLine, Loaded
from analytics.verification.proof import verify
from events.wire import decode, encode
from foundation.bucket import Bucket
from tests.support.builders import NOON, an_envelope
from tests.support.fakes.bucket import Gate
from tests.support.worlds.kept_lake import DAY, backfill, compactor, content
from tests.support.worlds.lake_world import SHARD, Crash, World, feed

pytestmark = pytest.mark.slow

SLICE = 4


def line(number: int, *, days: int = 0) -> bytes:
    return encode(an_envelope(cause=f"old-{number}", occurred_at=NOON + timedelta(days=days))) + b"\n"


# Three slices over two days, with a bad line, an empty one, one twice in a slice and one again in another.
HISTORY = (
    *(line(1), line(2), b"no event\n", line(1)),
    *(line(3), b"\n", line(4, days=1), line(2)),
    *(line(5, days=1), line(6)),
)


def load(
    world: World, gate: Gate | None = None, lines: tuple[bytes, ...] = HISTORY, backfill_id: str = "h"
) -> tuple[Loaded, list[BadLine]]:
    apart: list[BadLine] = []
    loaded = backfill(world, gate).load(backfill_id, lines, set_apart=apart.extend, slice_lines=SLICE)
    return loaded, apart


def loaded_lines(world: World) -> list[int]:
    return sorted(int(row["_sequence_number"]) for row in world.visible() if row["_shard"] == "backfill/h")


def sound(world: World) -> bool:
    return verify(Bucket(world.bucket.client, world.bucket.name), world.log).ok


WHOLE = [1, 2, 5, 7, 9, 10]


@pytest.fixture
def world() -> World:
    return World()


def test_each_event_becomes_a_row_with_its_line_for_a_place(world: World) -> None:
    loaded, apart = load(world)
    assert loaded_lines(world) == WHOLE
    assert (loaded.lines, loaded.rows, loaded.duplicates, loaded.bad, loaded.empty) == (10, 6, 2, 1, 1)
    assert (loaded.slices, loaded.slices_present, loaded.present) == (3, 0, 0)
    assert [(bad.number, bad.data) for bad in apart] == [(3, b"no event")]
    row = next(row for row in world.visible() if row["_sequence_number"] == "7")
    assert row["_arrived_at"] == row["occurred_at"] == NOON + timedelta(days=1)
    assert world.seen(SliceLoaded)[0] == SliceLoaded("h", 0, 2, 1)
    assert sound(world)


def test_loading_again_adds_nothing(world: World) -> None:
    load(world)
    before, commits = content(world), len(world.log.commits)
    loaded, apart = load(world)
    assert (loaded.rows, loaded.present, loaded.slices_present, apart) == (0, 10, 3, [])
    assert (content(world), len(world.log.commits)) == (before, commits)


def test_the_same_history_under_another_id_adds_nothing(world: World) -> None:
    load(world)
    before = content(world)
    loaded, _ = load(world, backfill_id="again")
    assert (loaded.rows, loaded.duplicates) == (0, 8)
    assert content(world) == before


def test_another_history_under_the_same_id_is_refused(world: World) -> None:
    load(world)
    before = content(world)
    with pytest.raises(AnotherHistory, match=r"line 5 on.*fix:"):
        load(world, lines=(*HISTORY[:4], line(77), *HISTORY[5:]))
    assert content(world) == before


def test_what_the_archiver_brought_is_left_out(world: World) -> None:
    shard = world.sink().open(SHARD)
    feed(shard, [1, 2, 3])
    shard.flush()
    streamed = [
        encode(an_envelope(order_id=f"order-of-{SHARD}", cause=f"key-{number}")) + b"\n" for number in (1, 2, 3)
    ]
    loaded, _ = load(world, lines=(*streamed, line(1)))
    assert (loaded.rows, loaded.duplicates) == (1, 3)
    assert sorted(world.archived()) == [1, 2, 3]


def test_another_orders_event_of_the_same_id_is_an_event_of_its_own(world: World) -> None:
    load(world, lines=(line(1),))
    other = msgspec.structs.replace(decode(line(1).strip()), order_id="another-order")
    loaded, _ = load(world, lines=(encode(other) + b"\n", line(1)), backfill_id="other")
    assert (loaded.rows, loaded.duplicates) == (1, 1)


def test_it_is_the_same_after_a_compaction(world: World) -> None:
    load(world)
    before = content(world)
    list(compactor(world).run([DAY, DAY + timedelta(days=1)]))
    assert content(world) == before
    load(world)
    load(world, backfill_id="again")
    assert content(world) == before
    assert sound(world)


def test_bad_lines_are_safe_before_their_slice_is_in_the_lake(world: World) -> None:
    def full_disk(_: list[BadLine]) -> None:
        raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space"):
        backfill(world).load("h", HISTORY, set_apart=full_disk, slice_lines=SLICE)
    assert world.visible() == []
    assert load(world)[0].bad == 1


def test_progress_is_told_in_bytes(world: World) -> None:
    told: list[int] = []
    backfill(world).load("h", HISTORY, set_apart=lambda _: None, progress=told.append, slice_lines=SLICE)
    assert sum(told) == sum(map(len, HISTORY))
    assert len(told) == 3


def die() -> None:
    raise Crash


def lose_the_answer() -> None:
    raise ConnectionError("the connection broke")


def calls_of_a_load() -> range:
    gate = Gate()
    load(World(), gate)
    return range(1, gate.calls + 1)


CALLS = calls_of_a_load()


def test_a_load_is_made_of_the_steps_that_are_broken_below() -> None:
    # Each slice: the log, the files of its days not read before, its files, the commit.
    assert len(CALLS) == (1 + 0 + 1 + 1) + (1 + 1 + 2 + 1) + (1 + 2 + 2 + 1)


@pytest.mark.parametrize("event", [die, lose_the_answer])
@pytest.mark.parametrize("applied", [False, True])
@pytest.mark.parametrize("at", CALLS)
def test_broken_off_at_any_call_no_reader_sees_half_a_slice_and_the_next_load_ends_it(
    at: int, applied: bool, event: Callable[[], None]
) -> None:
    world = World()

    def look_and_break() -> None:
        assert loaded_lines(world) in ([], WHOLE[:2], WHOLE[:4], WHOLE)
        event()

    with pytest.raises((Crash, ConnectionError)):
        load(world, Gate(at, look_and_break, applied=applied))
    assert loaded_lines(world) in ([], WHOLE[:2], WHOLE[:4], WHOLE)
    load(world)
    assert loaded_lines(world) == WHOLE
    assert sound(world)


def the_same_history(world: World) -> None:
    load(world)


def an_archiver(world: World) -> None:
    shard = world.sink().open(SHARD)
    feed(shard, [1, 2])
    shard.flush()


def a_compactor(world: World) -> None:
    list(compactor(world).run([DAY]))


@pytest.mark.parametrize("other", [the_same_history, an_archiver, a_compactor])
@pytest.mark.parametrize("at", CALLS)
def test_whoever_writes_at_any_moment_of_a_load_loses_and_doubles_nothing(
    at: int, other: Callable[[World], None]
) -> None:
    world = World()
    with suppress(Crash):
        load(world, Gate(at, lambda: other(world)))
    assert loaded_lines(world) == WHOLE
    assert sound(world)
