"""A subscriber that keeps state: each event counts once, whatever crashes, repeats and meets."""

import random
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumers.processing import Unavailable, Unprocessable
from consumers.steps.answers import Answer, read_outcome
from consumers.steps.stateful import MOST_TRIES, Stateful, StateUnreadable, WithState
from consumers.steps.states import Stored
from consumers.verdicts import Verdict, verdict_of
from events.envelope import EventEnvelope
from events.orders import OrderCompleted, VoucherIssued
from foundation.clock import Clock
from tests.support.builders import NOON, an_envelope, an_order_completed
from tests.support.fakes.states import FakeStates


class Count(msgspec.Struct, frozen=True):
    orders: int = 0


def decide(count: Count, heard: EventEnvelope[OrderCompleted]) -> tuple[Count, Answer]:
    """Every second one tells a voucher."""
    orders = count.orders + 1
    voucher = VoucherIssued(
        customer_id=heard.event.customer_id, voucher_code=heard.order_id, percent_off=10, completed_orders=orders
    )
    return Count(orders), voucher if orders % 2 == 0 else None


COUNTING: Stateful[Count, OrderCompleted] = Stateful(
    key=lambda heard: heard.event.customer_id, begin=Count(), decide=decide
)
CLOCK = Clock(now=lambda: NOON, monotonic=lambda: 0.0)


def performance(states: FakeStates, stateful: Any = COUNTING, happened: list[Any] | None = None) -> Any:
    return WithState(
        "issuer",
        stateful,
        states,
        clock=CLOCK,
        wait=lambda _: False,
        chance=random.Random(7),
        emit=[].append if happened is None else happened.append,
    )


def completed(number: int, customer: str = "customer-1") -> Any:
    return an_envelope(an_order_completed(customer_id=customer), order_id=f"order-{number}", cause="complete")


def count_of(states: FakeStates, customer: str = "customer-1") -> int:
    data = states.states.get(customer, Stored(None, 0)).data
    return msgspec.json.decode(data, type=Count).orders if data else 0


def heard(states: FakeStates, event: Any) -> Sequence[Any]:
    """As the handler does: recall, or else once."""
    made = performance(states)
    known = made.known([event])
    outcome = read_outcome(next(iter(known.values()))) if known else made.once(event)
    return [one.envelope.event for one in outcome.follows]


def test_state_and_outcome_are_stored_together_and_the_state_goes_on() -> None:
    states, happened = FakeStates(), list[Any]()
    told = [performance(states, happened=happened).once(completed(number)).follows for number in range(1, 5)]
    assert [len(one) for one in told] == [0, 1, 0, 1]
    assert [one[0].envelope.event.completed_orders for one in told if one] == [2, 4]
    assert count_of(states) == 4
    assert [one.told for one in happened] == ["nothing", "voucher_issued", "nothing", "voucher_issued"]


def test_an_event_heard_again_counts_once_and_tells_the_same() -> None:
    states = FakeStates()
    first = [heard(states, completed(number)) for number in (1, 2, 3)]
    # And where the outcomes are recalled too late, as by another holder of the shard.
    states.recalls_nothing = True
    assert [heard(states, completed(number)) for number in (1, 2, 3)] == first
    assert count_of(states) == 3
    assert states.commits == 3


def test_an_answer_that_was_lost_makes_no_second_count() -> None:
    states = FakeStates(lost_answers=1)
    with pytest.raises(ConnectionError):
        performance(states).once(completed(1))
    assert heard(states, completed(1)) == []
    assert (count_of(states), states.commits) == (1, 1)


def test_two_events_that_meet_at_one_state_both_count() -> None:
    states = FakeStates()
    rival = [completed(9)]

    def meet(_: str) -> None:
        if rival:
            performance(states).once(rival.pop())

    states.between = meet
    told = performance(states).once(completed(1)).follows
    assert count_of(states) == 2
    assert [one.envelope.event.completed_orders for one in told] == [2]


def test_one_that_others_overtake_again_and_again_waits() -> None:
    states, numbers = FakeStates(), iter(range(100, 1000))
    busy = threading.local()

    def meet(_: str) -> None:
        if not getattr(busy, "now", False):
            busy.now = True
            performance(states).once(completed(next(numbers)))
            busy.now = False

    states.between = meet
    with pytest.raises(Unavailable, match=rf"moved on by others {MOST_TRIES} times in a row\. fix: "):
        performance(states).once(completed(1))
    states.between = lambda _: None
    performance(states).once(completed(1))
    assert count_of(states) == MOST_TRIES + 1


@pytest.mark.parametrize("stored", [b'{"orders":"three"}', b"[]", b"\xff", b""])
def test_a_state_that_its_code_cannot_read_any_more_stays_as_it_is_and_is_no_records_fault(stored: bytes) -> None:
    states = FakeStates({"customer-1": Stored(stored, 3)})
    with pytest.raises(StateUnreadable, match=r"what issuer has stored is no Count any more\. fix: ") as raised:
        performance(states).once(completed(1))
    assert verdict_of(raised.value) is Verdict.OURS
    assert (states.states, states.commits) == ({"customer-1": Stored(stored, 3)}, 0)
    performance(states).once(completed(2, "customer-2"))
    assert count_of(states, "customer-2") == 1


class Words(msgspec.Struct, frozen=True):
    text: str = ""


def test_a_state_too_large_to_be_stored_is_the_records_fault() -> None:
    states = FakeStates()
    talking: Stateful[Words, OrderCompleted] = Stateful(
        key=lambda heard: heard.order_id, begin=Words(), decide=lambda *_: (Words("w" * 400_000), None)
    )
    with pytest.raises(Unprocessable, match=r"a state of issuer would have 400,011 bytes, .* fix: keep less in it"):
        performance(states, talking).once(completed(1))
    assert states.states == {}


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 12), st.sampled_from(["a", "b"])), max_size=40), st.booleans())
def test_whatever_is_heard_again_and_in_whichever_order_each_event_counts_once(
    events: list[tuple[int, str]], late: bool
) -> None:
    states = FakeStates(recalls_nothing=late)
    of_customer = dict(reversed(events))
    told: dict[int, Any] = {}
    for number, _ in events:
        answer = heard(states, completed(number, of_customer[number]))
        assert told.setdefault(number, answer) == answer
    for customer in ("a", "b"):
        orders = sum(one == customer for one in of_customer.values())
        vouchers = [one for number, one in told.items() if of_customer[number] == customer and one]
        assert (count_of(states, customer), len(vouchers)) == (orders, orders // 2)


@pytest.mark.slow
def test_many_threads_at_one_state_count_each_event_once() -> None:
    states = FakeStates()
    events = [completed(number) for number in range(60)]

    def one(event: Any) -> int:
        while True:
            try:
                return len(performance(states).once(event).follows)
            except Unavailable:
                continue

    with ThreadPoolExecutor(8) as threads:
        told = list(threads.map(one, events + events))
    assert count_of(states) == 60
    assert sum(told) == 2 * 30
