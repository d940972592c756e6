"""What a handler answers: nothing, one event or several, remembered and told as what it is."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.processing import ShardStop, Unprocessable
from consumers.steps.answers import MOST_BYTES, Attempts, after_attempts, nothing, outcome_of, read_outcome
from events.envelope import derive_event_id
from events.orders import EVENTS, Event, UserNotified, VoucherIssued
from events.wire import UnreadableEvent
from tests.support.builders import NOON, an_envelope

HEARD = an_envelope()
TOLD = UserNotified(customer_id="customer-1", channel="ses", message_id="mail-1")
VOUCHER = VoucherIssued(customer_id="customer-1", voucher_code="code", percent_off=10, completed_orders=5)


def outcome(answer: Any) -> Any:
    return outcome_of(HEARD, answer, actor="actor", at=NOON)


def test_one_event_is_remembered_as_itself_as_earlier_releases_do() -> None:
    made = outcome(TOLD)
    assert made.data == made.follows[0].data
    assert read_outcome(made.data).follows == made.follows
    assert made.follows[0].envelope.event_id == derive_event_id("order-1", "user_notified", HEARD.event_id)


@pytest.mark.parametrize("answer", [None, (), []])
def test_nothing_is_remembered_as_nothing(answer: Any) -> None:
    made = outcome(answer)
    assert made.follows == ()
    assert read_outcome(made.data).follows == ()
    assert made.data == nothing("order-1")


@given(st.lists(st.sampled_from([TOLD, VOUCHER]), min_size=2, max_size=6))
def test_several_are_remembered_in_order_each_under_an_id_of_its_own(answer: list[Event]) -> None:
    made = outcome(answer)
    assert [one.envelope.event for one in made.follows] == answer
    assert len({one.envelope.event_id for one in made.follows}) == len(answer)
    assert {one.envelope.cause for one in made.follows} == {HEARD.event_id}
    assert read_outcome(made.data).follows == made.follows
    assert msgspec.json.decode(made.data)["order_id"] == "order-1"


def test_two_alike_have_two_ids() -> None:
    first, second = outcome([TOLD, TOLD]).follows
    assert first.envelope.event_id != second.envelope.event_id
    assert first == outcome(TOLD).follows[0]


@pytest.mark.parametrize("answer", ["an event", [TOLD, 7], {"event": TOLD}])
def test_what_is_no_event_stops_the_shard(answer: Any) -> None:
    with pytest.raises(ShardStop, match=r"actor's handler answered (str|int|dict), no event.* fix: "):
        outcome(answer)


def test_an_answer_too_large_to_be_remembered_is_the_records_fault() -> None:
    large = msgspec.structs.replace(TOLD, message_id="m" * 128)
    with pytest.raises(Unprocessable, match=rf"actor answers 2000 events of .* {MOST_BYTES:,} can be remembered"):
        outcome([large] * 2000)


@pytest.mark.parametrize("answer", [None, TOLD, [TOLD, VOUCHER]])
def test_how_many_attempts_it_took_is_remembered_beside_what_follows(answer: Any) -> None:
    made, attempts = outcome(answer), Attempts(3, "Unavailable")
    after = after_attempts(made, "order-1", attempts)
    assert read_outcome(after.data) == after
    assert (after.follows, after.attempts) == (made.follows, attempts)
    assert read_outcome(made.data).attempts is None
    # As an older release reads it.
    assert msgspec.json.decode(after.data)["events"] == [msgspec.json.decode(one.data) for one in made.follows]


@pytest.mark.parametrize("data", [b"torn", b"[]", b"7", b'{"order_id":"order-1"}', b'{"events":[{}]}'])
def test_what_is_no_outcome_is_told(data: bytes) -> None:
    with pytest.raises(UnreadableEvent):
        read_outcome(data)


def test_no_event_has_the_field_that_tells_several_from_one() -> None:
    assert not [event for event in EVENTS if "events" in event.__struct_fields__]
