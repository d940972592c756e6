"""A voucher for each fifth completed order of a customer, with a code that is not to be guessed."""

import re
from typing import Any

import msgspec
import pytest

from consumers.subscribers.promo_issuer import EVERY, PERCENT_OFF, Customer, decide, stateful
from events.envelope import EventEnvelope
from events.orders import OrderCompleted, VoucherIssued
from events.wire import decode_only, encode
from tests.support.builders import an_envelope, an_order_completed

NOTHING: Any = None


def completed(number: int, **changes: Any) -> EventEnvelope[Any]:
    return an_envelope(an_order_completed(**changes), order_id=f"order-{number}", cause="complete")


def decided(orders: int) -> tuple[Customer, list[VoucherIssued]]:
    """After so many orders of one customer."""
    customer, vouchers = Customer(), list[VoucherIssued]()
    for number in range(orders):
        customer, voucher = decide(customer, completed(number))
        vouchers += [voucher] if voucher else []
    return customer, vouchers


@pytest.mark.parametrize("orders", [0, 1, 4, 5, 6, 9, 10, 11, 52])
def test_there_are_as_many_vouchers_as_orders_divided_by_five(orders: int) -> None:
    customer, vouchers = decided(orders)
    assert customer == Customer(completed_orders=orders)
    assert [voucher.completed_orders for voucher in vouchers] == [EVERY * n for n in range(1, orders // EVERY + 1)]
    assert {voucher.percent_off for voucher in vouchers} <= {PERCENT_OFF}


def test_the_same_order_after_the_same_orders_gets_the_same_voucher() -> None:
    customer, fifth = Customer(4), completed(5)
    again = decode_only(OrderCompleted, encode(fifth))
    assert again is not None
    decided, other = (decide(customer, one, code=lambda: "CODE") for one in (fifth, again))
    assert decided == other
    assert customer == Customer(4)


def test_a_code_is_of_sixty_bits_and_another_for_each_order() -> None:
    codes = [voucher.voucher_code for voucher in decided(500)[1]]
    assert len({*codes}) == 100
    assert all(re.fullmatch("[A-Z2-7]{12}", code) for code in codes)
    # Neighbours have nothing in common that would tell one by the other: no place of the code is fixed.
    assert all(len({code[place] for code in codes}) > 10 for place in range(12))


def test_a_voucher_goes_to_whom_the_order_named() -> None:
    _, voucher = decide(Customer(4), completed(5, customer_name="Ada Lovelace", customer_email="ada@example.com"))
    assert voucher is not None
    assert (voucher.customer_id, voucher.customer_name, voucher.customer_email) == (
        "customer-1",
        "Ada Lovelace",
        "ada@example.com",
    )
    _, nameless = decide(Customer(4), completed(5))
    assert nameless is not None
    assert (nameless.customer_name, nameless.customer_email) == (None, None)


def test_a_state_is_a_customers_and_begins_with_no_order() -> None:
    made = stateful(NOTHING, NOTHING)
    assert (made.key(completed(1, customer_id="customer-7")), made.begin) == ("customer-7", Customer(0))
    assert msgspec.json.decode(b"{}", type=Customer) == Customer(0)
