"""Up to when the tracker has read the stream: as far as the slowest of the shards that are open."""

from datetime import timedelta

from producers.deadlines import Reach
from tests.support.fakes.clock import START, FakeClock
from tests.support.fakes.tracker_table import FakeTrackerTable

MINUTE = timedelta(minutes=1)


def test_the_slowest_open_shard_counts_and_one_that_is_closed_does_not() -> None:
    time, table, opened = FakeClock(START + 9 * MINUTE), FakeTrackerTable(), ["left", "right"]
    reach = Reach(lambda: opened, table.shards(), clock=time.clock)
    table.shards().note("parent", START)
    table.shards().note("left", START + 3 * MINUTE)
    assert reach.until() is None
    table.shards().note("right", START + 2 * MINUTE)
    time.advance(1)
    assert reach.until() == START + 2 * MINUTE
    opened.append("begun by nobody")
    time.advance(1)
    assert reach.until() is None


def test_nothing_is_said_of_what_came_after_the_shards_were_asked_for() -> None:
    time, table = FakeClock(), FakeTrackerTable()

    def open_shards() -> list[str]:
        # While that is answered the shard is closed and read to its end, and its children are open.
        time.advance(30)
        table.shards().note("parent", time.now())
        return ["parent"]

    assert Reach(open_shards, table.shards(), clock=time.clock).until() == START


def test_it_is_asked_once_a_second_at_most() -> None:
    time, table, asked = FakeClock(), FakeTrackerTable(), list[bool]()
    table.shards().note("shard", START - MINUTE)

    def open_shards() -> list[str]:
        asked.append(True)
        return ["shard"]

    reach = Reach(open_shards, table.shards(), clock=time.clock)
    for _ in range(20):
        reach.until()
        time.advance(0.125)
    assert len(asked) == 3
