"""What the restaurant and the customer are told, and which refusals are the record's own fault."""

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from botocore.exceptions import ClientError

from consumers.mail.ses import Mail
from consumers.notifiers.restaurant import TicketTopic, notify_restaurant, ticket
from consumers.notifiers.user import letter, local_time, notify_user
from consumers.processing import Unavailable, Unprocessable
from events.envelope import EventEnvelope
from events.orders import (
    OrderAccepted,
    OrderCancelled,
    OrderExpired,
    OrderPlaced,
    OrderRejected,
    RestaurantNotified,
    TicketWithdrawn,
    UserNotified,
)
from events.wire import decode_only, encode
from tests.conftest import LocalAws
from tests.support.builders import NOON, an_item, an_order_accepted, an_order_completed, an_order_placed
from tests.support.flow import until

PLACED: EventEnvelope[OrderPlaced] = EventEnvelope(
    event_id="p-1", order_id="o-1", occurred_at=NOON, cause="k", traceparent="", producer="t", event=an_order_placed()
)
ACCEPTED: EventEnvelope[OrderAccepted] = EventEnvelope(
    event_id="a-1", order_id="o-1", occurred_at=NOON, cause="k", traceparent="", producer="t", event=an_order_accepted()
)
OF: dict[str, Any] = {"restaurant_id": "restaurant-1", "customer_id": "customer-1"}
CONTACT: dict[str, Any] = {"customer_name": "Ada Lovelace", "customer_email": "ada@example.com"}


class Refusing:
    """A client whose only call answers with this error code."""

    def __init__(self, code: str) -> None:
        self._code = code

    def __getattr__(self, name: str) -> Any:
        def call(**_: Any) -> None:
            raise ClientError({"Error": {"Code": self._code, "Message": "to <ada@example.com>"}}, name)

        return call


def test_the_ticket_says_what_to_cook_and_nothing_about_the_customer() -> None:
    written = json.dumps(ticket(PLACED).__struct_fields__) + str(ticket(PLACED))
    assert "Margherita" in written
    assert "Ada" not in written
    assert "ada@" not in written


def test_the_letter_quotes_the_event_so_that_a_repeat_can_be_told() -> None:
    told = letter(ACCEPTED)
    assert told.to == "ada@example.com"
    assert "Hello Ada Lovelace" in told.text
    assert "ready at 12:20 UTC" in told.text
    assert told.text.endswith("\n\nReference: a-1\n")
    assert "Reference: a-1" in told.html


DETAILS: dict[str, Any] = {
    "restaurant_name": "Trattoria <Da Ada>",
    "items": (an_item(), an_item(name="<b>Tiramis\u00f9</b>", quantity=1, unit_price=700)),
    "total": 2600,
    "currency": "EUR",
    "time_zone": "Europe/Amsterdam",
}


def test_the_customer_is_told_restaurant_items_total_and_local_time() -> None:
    told = letter(msgspec.structs.replace(ACCEPTED, event=an_order_accepted(**DETAILS)))
    assert told.text == (
        "Hello Ada Lovelace,\n\nTrattoria <Da Ada> accepted your order o-1.\nIt should be ready at 13:20 "
        "(Europe/Amsterdam).\n\n2 x Margherita, EUR 19.00\n1 x <b>Tiramis\u00f9</b>, EUR 7.00\nTotal: EUR 26.00\n\n"
        "Reference: a-1\n"
    )
    for words in ("Trattoria &lt;Da Ada&gt;", "13:20 (Europe/Amsterdam)", "2 &times; Margherita", "EUR 26.00"):
        assert words in told.html


def test_no_word_of_an_order_is_markup_in_a_mail() -> None:
    told = letter(msgspec.structs.replace(ACCEPTED, event=an_order_accepted(**DETAILS, customer_name="<script>")))
    assert "&lt;b&gt;Tiramis\u00f9&lt;/b&gt;" in told.html
    assert all(markup not in told.html for markup in ("<b>", "<script>", "<Da"))


def test_the_customer_is_told_that_the_food_is_ready() -> None:
    told = letter(msgspec.structs.replace(ACCEPTED, event=an_order_completed(**CONTACT, restaurant_name="Ada's")))
    assert told.subject == "Your food is ready"
    assert "Your order o-1 is ready and leaves Ada's." in told.text
    assert "Total: EUR 19.00" in told.text


@pytest.mark.parametrize(
    ("zone", "says"),
    [
        (None, "12:00 UTC"),
        ("Asia/Kathmandu", "17:45 (Asia/Kathmandu)"),
        ("Not/AZone", "12:00 UTC"),
        ("../../etc/passwd", "12:00 UTC"),
        ("\x00", "12:00 UTC"),
    ],
)
def test_a_time_is_told_by_the_clock_of_the_order(zone: str | None, says: str) -> None:
    assert local_time(NOON, zone) == says
    assert local_time(datetime.max.replace(tzinfo=UTC), "Pacific/Kiritimati") == "23:59 UTC"


def test_the_customer_is_told_utc_whatever_offset_the_promise_was_written_with() -> None:
    here = encode(ACCEPTED).replace(b"2026-03-14T12:20:00Z", b"2026-03-14T17:50:00+05:30")
    assert here != encode(ACCEPTED)
    accepted = decode_only(OrderAccepted, here)
    assert accepted is not None
    assert "ready at 12:20 UTC" in letter(accepted).text


def test_the_kitchen_is_told_utc_whatever_offset_the_order_was_written_with() -> None:
    here = encode(PLACED).replace(b"2026-03-14T12:00:00Z", b"2026-03-14T17:30:00+05:30")
    assert here != encode(PLACED)
    placed = decode_only(OrderPlaced, here)
    assert placed is not None
    assert b"2026-03-14T12:00:00Z" in msgspec.json.encode(ticket(placed))


CANCELLED, EXPIRED = OrderCancelled(**OF, **CONTACT), OrderExpired(**OF, **CONTACT, accept_by=NOON)


class Taking:
    """A client that takes whatever is sent, and keeps it."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []

    def __getattr__(self, name: str) -> Any:
        def call(**sent: Any) -> dict[str, str]:
            self.sent.append(sent)
            return {"MessageId": f"{name}-1"}

        return call


@pytest.mark.parametrize(
    ("event", "why"),
    [
        (OrderRejected(**OF, **CONTACT, reason="closed"), "it is closed"),
        (OrderRejected(**OF, **CONTACT, reason="too_busy"), "too much to do"),
        (OrderRejected(**OF, **CONTACT, reason="out_of_stock"), "has run out"),
        (OrderRejected(**OF, **CONTACT, reason="other"), "no reason"),
        (CANCELLED, "cancelled, as you asked"),
        (EXPIRED, "did not answer your order o-1 until 12:00 UTC"),
    ],
)
def test_the_customer_is_told_in_words_why_an_order_came_to_nothing(event: Any, why: str) -> None:
    mail: Any = Taking()
    told = notify_user(msgspec.structs.replace(ACCEPTED, event=event), Mail(mail, "orders@takeaway.example"))
    [sent] = mail.sent
    text = sent["Message"]["Body"]["Text"]["Data"]
    assert sent["Destination"] == {"ToAddresses": ["ada@example.com"]}
    assert text.startswith("Hello Ada Lovelace,")
    assert why in text
    assert text.endswith("\n\nReference: a-1\n")
    assert told == UserNotified(customer_id="customer-1", channel="ses", message_id="send_email-1")


def test_a_rejection_of_an_older_release_is_set_apart_with_the_fix() -> None:
    mail: Any = Taking()
    heard = msgspec.structs.replace(ACCEPTED, event=OrderRejected(**OF, reason="closed"))
    with pytest.raises(Unprocessable, match=r"names no address.* fix: "):
        notify_user(heard, Mail(mail, "orders@takeaway.example"))
    assert mail.sent == []


@pytest.mark.parametrize(("event", "reason"), [(CANCELLED, "cancelled"), (EXPIRED, "expired")])
def test_a_ticket_is_withdrawn_by_a_message_of_its_own_kind_that_says_nothing_of_the_customer(
    event: Any, reason: str
) -> None:
    topic: Any = Taking()
    tickets = TicketTopic(topic, "arn")
    assert isinstance(notify_restaurant(PLACED, tickets), RestaurantNotified)
    told = notify_restaurant(msgspec.structs.replace(PLACED, event_id="c-1", event=event), tickets)
    assert told == TicketWithdrawn(restaurant_id="restaurant-1", channel="sns", message_id="publish-1")
    kinds = [sent["MessageAttributes"]["kind"]["StringValue"] for sent in topic.sent]
    assert kinds == ["ticket", "withdrawal"]
    assert json.loads(topic.sent[1]["Message"]) == {
        "kind": "withdrawal",
        "event_id": "c-1",
        "order_id": "o-1",
        "restaurant_id": "restaurant-1",
        "reason": reason,
    }
    assert "kind" not in json.loads(topic.sent[0]["Message"])


@pytest.mark.parametrize(("code", "fault"), [("InvalidParameter", Unprocessable), ("Throttled", Unavailable)])
def test_what_sns_refuses_for_good_is_unprocessable_and_quotes_nobody(code: str, fault: type[Exception]) -> None:
    client: Any = Refusing(code)
    with pytest.raises(fault, match=f"^[^@]*{code}$"):
        notify_restaurant(PLACED, TicketTopic(client, "arn"))


@pytest.mark.parametrize(("code", "fault"), [("MessageRejected", Unprocessable), ("AccessDenied", Unavailable)])
def test_what_ses_refuses_for_good_is_unprocessable_and_quotes_no_address(code: str, fault: type[Exception]) -> None:
    client: Any = Refusing(code)
    with pytest.raises(fault) as raised:
        notify_user(ACCEPTED, Mail(client, "orders@takeaway.example"))
    assert code in str(raised.value)
    assert "ada@" not in str(raised.value)


@pytest.mark.local_aws
def test_a_ticket_really_reaches_the_queue_behind_the_topic(local_aws: LocalAws) -> None:
    told = notify_restaurant(PLACED, TicketTopic(local_aws.client("sns"), local_aws.environ["TAKEAWAY_TICKET_TOPIC"]))
    assert told.message_id
    sqs = local_aws.client("sqs")
    queue = local_aws.environ["TAKEAWAY_TICKET_QUEUE"]

    def ours() -> list[Any]:
        """Other tests' messages lie there too, some of which are no tickets."""
        received = sqs.receive_message(QueueUrl=queue, MessageAttributeNames=["All"], WaitTimeSeconds=1)
        return [one for one in received.get("Messages", []) if '"p-1"' in one["Body"]]

    (message,) = until(ours)
    assert message["MessageAttributes"]["restaurant_id"]["StringValue"] == "restaurant-1"
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])


@pytest.mark.local_aws
def test_a_letter_is_really_taken_by_ses(local_aws: LocalAws) -> None:
    told = notify_user(ACCEPTED, Mail(local_aws.client("ses"), local_aws.environ["TAKEAWAY_SENDER"]))
    assert (told.customer_id, told.channel) == ("customer-1", "ses")
    assert told.message_id
