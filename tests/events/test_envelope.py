import uuid

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.envelope import derive_event_id, first, following, name_based_uuid, partition_key
from events.orders import UserNotified
from tests.support.builders import NOON, an_envelope, an_order_accepted, an_order_placed

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_a_repeat_has_the_same_id_and_another_happening_its_own() -> None:
    assert an_envelope().event_id == an_envelope().event_id
    ids = {
        an_envelope().event_id,
        an_envelope(order_id="order-2").event_id,
        an_envelope(cause="key-2").event_id,
        an_envelope(an_order_accepted()).event_id,
    }
    assert len(ids) == 4


@pytest.mark.slow
@given(name=st.text())
def test_a_derived_id_is_the_standard_librarys(name: str) -> None:
    assert name_based_uuid(uuid.NAMESPACE_URL.bytes, name.encode()) == str(uuid.uuid5(uuid.NAMESPACE_URL, name))


def test_ids_cannot_be_confused_by_moving_text_between_parts() -> None:
    assert derive_event_id("a", "t", "t\nb") != derive_event_id("a\nt", "t", "b")
    assert derive_event_id("a", "t", '","t') != derive_event_id('a","t', "t", "")


def test_what_follows_is_caused_by_what_was_heard_and_shares_its_trace() -> None:
    heard = an_envelope(an_order_accepted())
    told = UserNotified(customer_id="customer-1", channel="ses", message_id="m")
    follows = following(heard, told, occurred_at=NOON, producer="user_notifier")
    assert (follows.cause, follows.order_id) == (heard.event_id, heard.order_id)
    assert follows.event_id == derive_event_id(heard.order_id, "user_notified", heard.event_id)
    assert follows.traceparent.split("-")[1] == heard.traceparent.split("-")[1]
    assert follows.traceparent != heard.traceparent


def test_a_callers_trace_is_continued_and_a_broken_one_replaced() -> None:
    def traced(traceparent: str | None) -> str:
        envelope = first(
            an_order_placed(), order_id="o", cause="k", occurred_at=NOON, producer="p", traceparent=traceparent
        )
        return envelope.traceparent.split("-")[1]

    assert traced(TRACE) == "0af7651916cd43dd8448eb211c80319c"
    assert traced("rubbish") == traced(None)
    assert len(traced(None)) == 32
    zeros = (f"00-{'0' * 32}-b7ad6b7169203331-01", f"00-{'a' * 32}-{'0' * 16}-01", f"{TRACE}\n")
    assert {traced(invalid) for invalid in zeros} == {traced(None)}


def test_a_trace_of_nothing_but_zeros_on_the_stream_is_not_handed_on() -> None:
    """An earlier release published such ones."""
    heard = msgspec.structs.replace(an_envelope(an_order_accepted()), traceparent=f"00-{'0' * 32}-{'1' * 16}-01")
    told = UserNotified(customer_id="customer-1", channel="ses", message_id="m")
    follows = following(heard, told, occurred_at=NOON, producer="user_notifier")
    assert follows.traceparent.split("-")[1] == an_envelope().traceparent.split("-")[1]


def test_the_partition_key_is_the_order() -> None:
    assert partition_key(an_envelope(order_id="order-9")) == "order-9"
