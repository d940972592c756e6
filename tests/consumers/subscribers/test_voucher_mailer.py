"""What the letter with a voucher says, to whom it goes, and what becomes of a voucher without an address."""

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from consumers.processing import Unprocessable
from consumers.subscribers.voucher_mailer import handler, letter
from events.envelope import EventEnvelope
from events.orders import VoucherIssued
from events.self_test import golden_bytes
from events.wire import decode_only

SETTINGS: Any = SimpleNamespace(sender="orders@takeaway.example")


def issued(**changes: Any) -> EventEnvelope[VoucherIssued]:
    heard = decode_only(VoucherIssued, golden_bytes()["voucher_issued.v1"])
    assert heard is not None
    voucher = msgspec.structs.replace(
        heard.event,
        voucher_code="ABCDEFGH2345",
        percent_off=10,
        completed_orders=15,
        customer_name="Ada <Lovelace>",
        customer_email="ada@example.com",
    )
    return msgspec.structs.replace(heard, event_id="v-1", event=msgspec.structs.replace(voucher, **changes))


def test_the_letter_says_what_the_voucher_is_for_and_ends_with_its_reference() -> None:
    told = letter(issued())
    assert (told.to, told.subject) == ("ada@example.com", "A voucher for you")
    assert told.text == (
        "Hello Ada <Lovelace>,\n\nThank you for 15 orders.\nWith the code ABCDEFGH2345 your next one is 10 % off.\n\n"
        "Reference: v-1\n"
    )
    assert "Ada &lt;Lovelace&gt;" in told.html
    assert "ABCDEFGH2345" in told.html


def test_a_customer_without_a_name_is_greeted_too() -> None:
    assert letter(issued(customer_name=None)).text.startswith("Hello ")


def test_a_voucher_without_an_address_is_set_apart_with_what_to_do() -> None:
    with pytest.raises(Unprocessable, match=r"voucher_issued v-1 names no address: .* fix: `takeaway dlq drop` this"):
        letter(issued(customer_email=None))


def test_one_mail_is_sent_and_no_event_told() -> None:
    sent = list[dict[str, Any]]()

    def send_email(**mail: Any) -> dict[str, str]:
        sent.append(mail)
        return {"MessageId": "m-1"}

    def client(service: str) -> Any:
        assert service == "ses"
        return SimpleNamespace(send_email=send_email)

    answer: Any = handler(SETTINGS, client)
    assert answer(issued()) is None
    [mail] = sent
    assert (mail["Source"], mail["Destination"]) == ("orders@takeaway.example", {"ToAddresses": ["ada@example.com"]})
    assert mail["Tags"] == [{"Name": "event_id", "Value": "v-1"}]
