"""What the operations page is given, and one look for all who ask for it."""

import threading
from typing import cast

import pytest

from takeaway.overview.facts import Unknown
from takeaway.overview.gathering import Gatherer
from takeaway.overview.page import EVERY_SECONDS, Lookout, page_facts
from tests.support.fakes.clock import FakeClock
from tests.takeaway.overview.an_overview import ORDER, a_consumer, an_overview, frozen_notifier


class Counting:
    """A gatherer that counts its looks."""

    def __init__(self) -> None:
        self.looks = 0
        self.hold = threading.Event()
        self.hold.set()

    def look(self) -> object:
        self.looks += 1
        self.hold.wait(60)
        return an_overview()


def test_the_page_is_given_what_the_screen_shows() -> None:
    told = page_facts(an_overview(consumers=(frozen_notifier(), a_consumer("archiver"))))
    [frozen, well] = told.consumers
    assert (frozen.is_well, frozen.lag, frozen.waits, frozen.letters, frozen.owner) == (
        False,
        "73",
        "29 s",
        "0",
        "pid 4242 frozen",
    )
    assert frozen.waiting == {"order_accepted": 73}
    assert frozen.order_id == ORDER
    assert well.is_well
    assert told.counts == {"order_placed": 12}
    assert [(one.state, one.count) for one in told.orders] == [("placed", "3"), ("accepted", "8")]
    assert told.missed == "0"


def test_what_is_unknown_is_told_and_hides_nothing_else() -> None:
    told = page_facts(an_overview(orders=Unknown("no answer"), shards=Unknown("away"), events=Unknown("away")))
    assert told.unknown == ("the stream: away", "the orders: no answer")
    assert len(told.consumers) == 5
    assert (told.orders, told.shards) == ((), ())


def test_nothing_is_gathered_until_a_page_asks_and_then_once_for_all_within_a_moment() -> None:
    time, gatherer, made = FakeClock(), Counting(), list[None]()

    def make() -> Gatherer:
        made.append(None)
        return cast("Gatherer", gatherer)

    lookout = Lookout(make, time.clock)
    assert made == []
    first = lookout.look()
    assert lookout.look() is first
    time.advance(EVERY_SECONDS)
    assert lookout.look() is first
    time.advance(0.1)
    assert lookout.look() is not first
    assert (gatherer.looks, len(made)) == (2, 1)


@pytest.mark.slow
def test_twenty_pages_that_ask_at_once_are_given_one_look() -> None:
    gatherer, time = Counting(), FakeClock()
    gatherer.hold.clear()
    lookout = Lookout(lambda: cast("Gatherer", gatherer), time.clock)
    asking = [threading.Thread(target=lookout.look) for _ in range(20)]
    for one in asking:
        one.start()
    gatherer.hold.set()
    for one in asking:
        one.join()
    assert gatherer.looks == 1
