"""Lag and rates, counted of what was read of a shard; pure."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from foundation.kinesis.records import SequenceNumber
from takeaway.overview.stretch import MOST_KEPT, Counts, Entry, Lately, Mark, ShardRecords, Stretch
from tests.support.builders import NOON

NOW = NOON.timestamp()


def an_entry(number: int, *, sub: int = 0, ago: float = 0.0, event_type: str = "order_placed") -> Entry:
    return Entry((number, sub), NOW - ago, 500, event_type, f"order-{number}")


def at(number: int, sub: int = 0) -> SequenceNumber:
    return SequenceNumber(str(number), sub)


def read(begin: Mark, *entries: Entry, at_tip: bool = True) -> Stretch:
    stretch = Stretch(begin)
    stretch.add(entries, at_tip=at_tip)
    return stretch


def test_what_lies_behind_a_checkpoint_is_counted_and_its_first_order_named() -> None:
    entries = [an_entry(1, ago=9), an_entry(2, ago=7, event_type="order_accepted"), an_entry(3, ago=5)]
    records = ShardRecords(read(None, *entries))
    lag = records.lag(at(1), NOW)
    assert (lag.records, lag.at_least, lag.seconds) == (2, False, 7)
    assert lag.of_types == {"order_accepted": 1, "order_placed": 1}
    heard = records.lag(at(1), NOW, ["order_placed"])
    assert heard.oldest is not None
    assert (heard.oldest.order_id, heard.oldest.event_type, heard.oldest.seconds) == ("order-3", "order_placed", 5)
    assert heard.records == 2
    through = records.lag(at(3), NOW)
    assert (through.records, through.at_least, through.seconds, through.oldest) == (0, False, 0, None)


def test_the_rest_of_a_half_done_aggregate_is_unread() -> None:
    records = ShardRecords(read(None, an_entry(1), an_entry(1, sub=1), an_entry(1, sub=2)))
    assert records.lag(at(1), NOW).records == 2


def test_where_the_checkpoint_lies_before_what_was_read_there_are_at_least_so_many() -> None:
    records = ShardRecords(read(NOON - timedelta(seconds=10), an_entry(50, ago=5), an_entry(51, ago=4)))
    lag = records.lag(at(7), NOW)
    assert (lag.records, lag.at_least, lag.seconds, lag.oldest) == (2, True, None, None)
    assert records.lag(None, NOW).at_least


def test_what_was_not_read_to_the_tip_is_no_whole_count() -> None:
    assert ShardRecords(read(None, an_entry(1), at_tip=False)).lag(None, NOW).at_least


def test_an_older_stretch_counts_with_the_recent_one_and_in_the_end_is_one_with_it() -> None:
    records = ShardRecords(read(NOON, an_entry(8), an_entry(9)), older=read(at(2), an_entry(3, ago=60)))
    assert not records.met()
    lag = records.lag(at(2), NOW)
    assert (lag.records, lag.at_least, lag.seconds) == (3, True, 60)
    assert records.older is not None
    records.older.add([an_entry(number) for number in range(4, 10)], at_tip=True)
    assert records.met()
    lag = records.lag(at(2), NOW)
    assert (lag.records, lag.at_least, lag.seconds) == (7, False, 60)


def test_an_idle_shard_is_read_through_from_an_old_checkpoint() -> None:
    records = ShardRecords(read(NOON), older=read(at(2), an_entry(3, ago=600)))
    assert records.met()
    assert records.lag(at(2), NOW).records == 1
    # What came between the two reads is given to both, and counts once.
    assert records.recent.add([an_entry(3, ago=600), an_entry(4)], at_tip=True) == [an_entry(4)]
    assert records.lag(at(2), NOW).records == 2


def test_rates_are_of_the_window_and_an_aggregate_is_one_record() -> None:
    entries = [an_entry(1, ago=60), an_entry(2, ago=5), an_entry(2, sub=1, ago=5), an_entry(3, ago=1)]
    assert ShardRecords(read(None, *entries)).rate(NOW, 10) == (0.2, 150.0, 10)
    assert ShardRecords(read(None)).rate(NOW, 10) == (0, 0, 10)
    sample = [an_entry(number, ago=10 - number / 100) for number in range(300)]
    records, _, over = ShardRecords(read(NOON, *sample, at_tip=False)).rate(NOW, 10.001)
    assert (round(records), round(over)) == (100, 3)


def test_what_all_have_done_is_forgotten_and_counts_stay_right() -> None:
    stretch = read(None, *(an_entry(number, ago=100 - number) for number in range(100)))
    stretch.forget(at(40), NOW - 10)
    assert len(stretch.entries) == 59
    assert stretch.covers(at(40))
    assert not stretch.covers(at(39))
    assert ShardRecords(stretch).lag(at(40), NOW).records == 59
    stretch.forget(at(99), NOW - 10)
    assert len(stretch.entries) == 10, "rates are measured by them"


def test_no_more_is_kept_in_mind_than_the_bound() -> None:
    stretch = read(None, *(an_entry(number) for number in range(MOST_KEPT + 5)))
    stretch.forget(None, NOW)
    assert len(stretch.entries) == MOST_KEPT
    assert not stretch.covers(None)


@given(
    st.lists(st.integers(0, 200), unique=True, max_size=40).map(sorted),
    st.integers(-1, 201),
    st.integers(-1, 201),
    st.lists(st.integers(1, 10), max_size=10),
)
def test_however_it_is_read_and_forgotten_a_covered_count_is_that_of_the_shard(
    numbers: list[int], began: int, mark: int, chunks: list[int]
) -> None:
    there = [an_entry(number) for number in numbers if number > began]
    stretch = Stretch(at(began))
    for size in [*chunks, 40]:
        given_now, there = there[:size], there[size:]
        stretch.add(given_now, at_tip=not there)
        stretch.forget(at(mark), NOW + 1)
    lag = ShardRecords(stretch).lag(at(mark), NOW)
    assert lag.records == sum(number > max(mark, began) for number in numbers)
    assert lag.at_least is (mark < began)


def test_events_are_counted_since_the_look_began_and_their_rate_is_that_of_the_window() -> None:
    counts = Counts()
    counts.add([an_entry(1, ago=20), an_entry(2, ago=4), an_entry(3, ago=2, event_type="")], NOW - 10)
    assert counts.of_types == {"order_placed": 1}
    assert counts.per_second(NOW, 10) == {"order_placed": 0.1}


def test_orders_of_lately_are_the_newest_first_each_once() -> None:
    lately = Lately()
    lately.note([ShardRecords(read(None, an_entry(1, ago=3), an_entry(2, ago=1))), ShardRecords(read(None))])
    lately.note([ShardRecords(read(None, an_entry(1, ago=0)))])
    assert lately.orders == ("order-1", "order-2")
