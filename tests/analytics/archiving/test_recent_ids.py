"""Events that come again are dropped, counted, and never the only ones of their kind."""

from datetime import timedelta
from typing import Any

import pyarrow as pa
import pytest
from botocore.exceptions import ClientError

from analytics.archiving.decode import decode_records
from analytics.archiving.diagnostics import LakeCommitted, LakeFileUnread
from analytics.archiving.recent_ids import Window
from analytics.archiving.shard_sink import CommitFailed, ShardSink
from analytics.table.identity import identities
from analytics.table.layout import ShardPaths
from events.wire import encode
from foundation.kinesis.records import Record, SequenceNumber
from tests.support.builders import NOON, an_envelope
from tests.support.worlds.lake_world import KEYS, OTHER_SHARD, SHARD, STREAM, World

CHILD = "shardId-000000000002"
PATHS = ShardPaths(STREAM, SHARD)


def rows(*events: tuple[int, str], shard_id: str = SHARD, minutes: float = 0) -> pa.Table:
    """A row for each place and event."""
    arrived_at = NOON + timedelta(minutes=minutes)
    payloads = [Record(str(at), "", encode(an_envelope(cause=event)), arrived_at.timestamp()) for at, event in events]
    return decode_records(shard_id, payloads, KEYS).rows


def append(shard: ShardSink, *events: tuple[int, str], **changes: Any) -> None:
    upto = SequenceNumber(str(events[-1][0]))
    shard.append(rows(*events, shard_id=shard.holder.paths.shard_id, **changes), after=shard.taken, upto=upto)


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.slow
def test_a_repeat_in_the_batch_and_in_the_next_is_dropped_and_counted(world: World) -> None:
    shard = world.sink().open(SHARD)
    append(shard, (1, "a"), (2, "a"), (3, "b"))
    append(shard, (4, "b"), (5, "c"), (6, "c"))
    assert shard.flush() == SequenceNumber("6")
    append(shard, (7, "a"), (8, "d"))
    assert shard.flush() == SequenceNumber("8")
    assert world.archived() == [1, 3, 5, 8]
    told = [(entry.rows, entry.dropped) for commit in world.log.commits for entry in commit.entries.values()]
    assert told == [(3, 3), (1, 1)]
    assert [seen.dropped for seen in world.seen(LakeCommitted)] == [3, 1]


def test_two_orders_under_one_event_id_are_two_events(world: World) -> None:
    """As a producer that is not ours may give them; in one batch, and after each other."""
    shard = world.sink().open(SHARD)
    one = rows((1, "a"))
    names = one.column("event_id")
    others = [
        rows((place, "a")).set_column(
            one.schema.get_field_index("order_id"), one.schema.field("order_id"), pa.chunked_array([[order]])
        )
        for place, order in ((2, "order-12"), (3, "order-1"), (4, "order-12"))
    ]
    assert all(other.column("event_id") == names for other in others)
    shard.append(pa.concat_tables([one, others[0]]), after=None, upto=SequenceNumber("2"))
    shard.append(pa.concat_tables(others[1:]), after=SequenceNumber("2"), upto=SequenceNumber("4"))
    shard.flush()
    assert world.archived() == [1, 2]
    assert world.log.commits[-1].entries[PATHS.application].dropped == 2


@pytest.mark.parametrize(
    ("one", "other"), [(("a", "b:c"), ("a:b", "c")), (("1:a", "b"), ("a", "1:b")), (("", "2:ab"), ("ab", "ab"))]
)
def test_ids_that_run_into_each_other_are_told_apart(one: tuple[str, str], other: tuple[str, str]) -> None:
    table = pa.table({"order_id": [one[0], other[0], one[0]], "event_id": [one[1], other[1], one[1]]})
    first, second, again = identities(table).to_pylist()
    assert first == again != second


def test_a_batch_of_nothing_but_repeats_moves_on_and_is_told_in_the_log(world: World) -> None:
    shard = world.sink().open(SHARD)
    append(shard, (1, "a"))
    shard.flush()
    append(shard, (2, "a"))
    assert shard.flush() == SequenceNumber("2")
    assert world.archived() == [1]
    assert world.log.commits[-1].files == ()
    assert world.log.commits[-1].entries[PATHS.application].dropped == 1


@pytest.mark.slow
def test_who_takes_over_knows_what_its_predecessor_wrote(world: World) -> None:
    shard = world.sink().open(SHARD)
    append(shard, (1, "a"), (2, "b"))
    shard.flush()
    append(shard, (3, "c"))  # never committed: its successor reads it itself
    successor = world.sink().open(SHARD)
    append(successor, (3, "c"), (4, "a"), (5, "b"))
    assert successor.flush() == SequenceNumber("5")
    assert world.archived() == [1, 2, 3]


@pytest.mark.slow
def test_a_child_knows_what_its_parent_wrote(world: World) -> None:
    sink = world.sink()
    for shard_id, event in ((SHARD, "a"), (OTHER_SHARD, "b")):
        shard = sink.open(shard_id)
        append(shard, (1, event))
        shard.flush()
    child = world.sink().open(CHILD)
    append(child, (7, "a"), (8, "b"), (9, "c"))
    child.flush()
    assert world.archived(CHILD) == [9]


def test_a_commit_that_fails_drops_nothing_that_it_did_not_keep(world: World) -> None:
    shard = world.sink().open(SHARD)
    world.bucket.fail("put_object", "SlowDown")
    append(shard, (1, "a"), (2, "b"))
    with pytest.raises(CommitFailed):
        shard.flush()
    append(shard, (3, "a"), (4, "c"))
    assert shard.flush() == SequenceNumber("4")
    assert world.archived() == [1, 2, 4]


def test_rows_that_were_refused_are_no_rows_to_drop_others_for(world: World) -> None:
    """The call raises before it takes them, and is made again with the same records."""
    shard = world.sink().open(SHARD)
    world.bucket.fail("put_object", "SlowDown")
    append(shard, (1, "a"))
    with pytest.raises(CommitFailed):
        shard.flush()
    world.bucket.fail("get_object", "SlowDown")
    with pytest.raises(ClientError):
        append(shard, (2, "b"))
    append(shard, (2, "b"))
    shard.flush()
    assert world.archived() == [1, 2]


def test_a_holder_that_another_one_overtook_relies_on_the_lake(world: World) -> None:
    """What it had in memory was committed by the other one, which read one record more."""
    first = world.sink().open(SHARD)
    append(first, (1, "a"))
    other = world.sink().open(SHARD)
    append(other, (1, "a"), (2, "b"))
    other.flush()
    again = world.sink().open(SHARD)
    append(again, (3, "b"), (4, "a"), (5, "c"))
    again.flush()
    assert world.archived() == [1, 2, 5]


def test_the_window_forgets_what_lies_far_back(world: World) -> None:
    shard = world.sink().open(SHARD)
    append(shard, (1, "a"))
    append(shard, (2, "b"), minutes=11)
    append(shard, (3, "a"), minutes=19)  # still known: a window is up to twice its span
    append(shard, (4, "c"), minutes=25)
    append(shard, (5, "a"), minutes=60)
    shard.flush()
    assert world.archived() == [1, 2, 4, 5]


@pytest.mark.slow
def test_the_window_is_bounded_by_number_too() -> None:
    window = Window(most=10)
    for number in range(1000):
        window.add(rows((number, f"event {number}")))
    assert len(window._younger) + len(window._older) <= 10
    assert window.known(rows((1, "event 999"), (2, "event 1"))) == [0]


def test_a_torn_or_missing_file_costs_the_window_and_no_row(world: World) -> None:
    shard = world.sink().open(SHARD)
    for number, event in enumerate("abc", start=1):
        append(shard, (number, event))
        shard.flush()
    torn, missing, _ = (f"events/{commit.files[0].path}" for commit in world.log.commits)
    world.bucket.objects[torn] = world.bucket.objects[torn][:100]
    whole = world.bucket.objects.pop(missing)
    successor = world.sink().open(SHARD)
    append(successor, (4, "a"), (5, "b"), (6, "c"))
    successor.flush()
    assert sorted(seen.path for seen in world.seen(LakeFileUnread)) == sorted(
        path.removeprefix("events/") for path in (torn, missing)
    )
    assert whole
    assert world.log.commits[-1].entries[PATHS.application].rows == 2
