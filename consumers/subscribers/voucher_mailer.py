"""Tells customers of their vouchers: hears voucher_issued and sends an e-mail over SES. It tells no event."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from consumers.mail import Letter, Mail
from consumers.processing import Unprocessable
from events import EventEnvelope, VoucherIssued

if TYPE_CHECKING:
    from consumers.settings import ConsumerSettings


def handler(
    settings: "ConsumerSettings", client: Callable[[str], Any]
) -> Callable[[EventEnvelope[VoucherIssued]], None]:
    mail = Mail(client("ses"), settings.sender)

    def send(heard: EventEnvelope[VoucherIssued]) -> None:
        mail.send(letter(heard))

    return send


def letter(heard: EventEnvelope[VoucherIssued]) -> Letter:
    """Raises `Unprocessable` for a voucher of a customer whose address is not known."""
    voucher = heard.event
    if voucher.customer_email is None:
        raise Unprocessable(
            f"voucher_issued {heard.event_id} names no address: that of its order is not known any more. "
            "fix: `takeaway dlq drop` this"
        )
    return Letter(
        to=voucher.customer_email,
        name=voucher.customer_name or "",
        subject="A voucher for you",
        sentences=(
            f"Thank you for {voucher.completed_orders} orders.",
            f"With the code {voucher.voucher_code} your next one is {voucher.percent_off} % off.",
        ),
        reference=heard.event_id,
    )
