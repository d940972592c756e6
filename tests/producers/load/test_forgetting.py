"""A customer's id goes from the ledger, and nothing else does."""

from pathlib import Path

import msgspec
import pytest

from events.orders import OrderPlaced
from producers.load.forgetting import forget_in_ledger
from producers.load.ledger import LedgerEntry, LedgerWriter, expected_events, read_ledger
from tests.support.builders import NOON


def placing(customer_id: str, order_id: str) -> tuple[LedgerEntry, ...]:
    return expected_events(
        OrderPlaced, order_id, order_id=order_id, restaurant_id="r", customer_id=customer_id, intended_at=NOON
    )


@pytest.mark.parametrize("customer_id", ["customer-1", 'a "quoted" name', "jörg\n", "c"])
def test_an_id_is_written_over_beside_a_writer_that_goes_on(tmp_path: Path, customer_id: str) -> None:
    (tmp_path / "empty.jsonl").touch()
    others = ["customer-10", "customer"]
    with LedgerWriter(tmp_path, "customers") as writer:
        for number, customer in enumerate([customer_id, *others, customer_id]):
            writer.intend(placing(customer, f"order-{number}"))
        before = read_ledger(tmp_path)
        assert forget_in_ledger(tmp_path, customer_id) == 4
        writer.acknowledge(placing(others[0], "order-1"), NOON)
    after = read_ledger(tmp_path)
    assert len(after.entries) == len(before.entries)
    assert after.torn == ()
    length = len(msgspec.json.encode(customer_id)) - 2
    for was, now in zip(before.entries, after.entries, strict=True):
        expected = "x" * length if was.customer_id == customer_id else was.customer_id
        assert now == msgspec.structs.replace(was, customer_id=expected, acknowledged_at=now.acknowledged_at)
    assert len(after.acknowledged) == 2
    assert forget_in_ledger(tmp_path, customer_id) == 0


def test_a_folder_that_is_not_there_has_nothing_of_anybody(tmp_path: Path) -> None:
    assert forget_in_ledger(tmp_path / "nowhere", "customer-1") == 0
