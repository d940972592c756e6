"""The ledger hides nothing: not what a crash interrupted, not what follows by itself."""

from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given

from events.envelope import derive_event_id
from events.orders import OrderAccepted, OrderCompleted, OrderPlaced
from producers.load.ledger import LedgerDamaged, LedgerEntry, LedgerWriter, expected_events, may_expire, read_ledger
from producers.orders.commands import derive_cause
from tests.support.builders import NOON, a_restaurant_notified, an_envelope
from tests.support.corpus import any_record


def placing(order_id: str = "order-1", key: str = "key-1") -> tuple[LedgerEntry, ...]:
    return expected_events(OrderPlaced, key, order_id=order_id, restaurant_id="r", customer_id="c", intended_at=NOON)


def test_a_placing_makes_the_restaurant_notified_under_the_id_it_will_really_have() -> None:
    placed, notified = placing()
    heard = an_envelope(cause=derive_cause(OrderPlaced, "key-1"))
    assert (placed.event_id, placed.because_of) == (heard.event_id, None)
    assert (notified.event_id, notified.because_of) == (a_restaurant_notified(heard).event_id, heard.event_id)
    assert [placed.event_type, notified.event_type] == ["order_placed", "restaurant_notified"]


def test_an_acceptance_and_a_completion_make_the_user_notified() -> None:
    accepted, *following = expected_events(OrderAccepted, "accept", order_id="o", restaurant_id="r", intended_at=NOON)
    assert derive_event_id("o", "user_notified", accepted.event_id) in {one.event_id for one in following}
    completed, told = expected_events(OrderCompleted, "complete", order_id="o", restaurant_id="r", intended_at=NOON)
    assert (told.event_type, told.because_of) == ("user_notified", completed.event_id)


def test_an_event_is_in_the_ledger_before_it_is_sent(tmp_path: Path) -> None:
    """As after a kill: the writer is not closed."""
    with LedgerWriter(tmp_path, "customers") as writer:
        writer.intend(placing())
        ledger = read_ledger(tmp_path)
    assert [entry.event_type for entry in ledger.unacknowledged] == ["order_placed", "restaurant_notified"]
    assert ledger.acknowledged == ()


def test_an_acknowledged_event_is_one_entry(tmp_path: Path) -> None:
    with LedgerWriter(tmp_path, "customers") as writer:
        writer.intend(placing())
        writer.acknowledge(placing(), NOON + timedelta(seconds=1))
    ledger = read_ledger(tmp_path)
    assert [entry.acknowledged_at for entry in ledger.entries] == [NOON + timedelta(seconds=1)] * 2
    assert ledger.counts == {"order_placed": 1, "restaurant_notified": 1}


def test_an_acknowledgement_stands_whichever_writer_comes_later(tmp_path: Path) -> None:
    for name, acknowledges in (("a", True), ("b", False)):
        with LedgerWriter(tmp_path, name) as writer:
            writer.intend(placing())
            if acknowledges:
                writer.acknowledge(placing(), NOON)
    assert len(read_ledger(tmp_path).acknowledged) == 2


def accepting() -> tuple[LedgerEntry, ...]:
    return expected_events(OrderAccepted, "accept", order_id="order-1", restaurant_id="r", intended_at=NOON)


def test_the_events_of_a_command_that_was_refused_are_not_in_it(tmp_path: Path) -> None:
    with LedgerWriter(tmp_path, "restaurants") as writer:
        writer.intend(accepting())
        writer.refuse(accepting(), "cancelled", NOON)
    ledger = read_ledger(tmp_path)
    assert ledger.entries == ()
    assert [(never.event_id, never.state) for never in ledger.refused] == [
        (entry.event_id, "cancelled") for entry in accepting()
    ]


def test_what_one_writer_was_refused_and_another_acknowledged_is_in_it(tmp_path: Path) -> None:
    for name, does in (("a", LedgerWriter.acknowledge), ("b", None)):
        with LedgerWriter(tmp_path, name) as writer:
            writer.intend(accepting())
            if does:
                does(writer, accepting(), NOON)
            else:
                writer.refuse(accepting(), "accepted", NOON)
    assert [entry.event_id for entry in read_ledger(tmp_path).acknowledged] == [e.event_id for e in accepting()]


def test_a_refusal_that_tells_of_an_expiry_promises_it(tmp_path: Path) -> None:
    with LedgerWriter(tmp_path, "restaurants") as writer:
        writer.intend(accepting())
        writer.refuse(accepting(), "expired", NOON)
    of_time = may_expire(accepting()[0])
    assert {entry.event_id for entry in read_ledger(tmp_path).acknowledged} == {entry.event_id for entry in of_time}
    assert of_time[0].event_type == "order_expired"


def test_writers_share_a_directory_and_never_a_file(tmp_path: Path) -> None:
    for order in range(3):
        with LedgerWriter(tmp_path, "customers") as writer:
            writer.intend(placing(f"order-{order}"))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "customers-2.jsonl",
        "customers-3.jsonl",
        "customers.jsonl",
    ]
    assert read_ledger(tmp_path).orders.keys() == {"order-0", "order-1", "order-2"}


@pytest.mark.parametrize("left", [1, 40])
def test_a_torn_last_line_is_told_and_costs_nothing_else(tmp_path: Path, left: int) -> None:
    with LedgerWriter(tmp_path, "customers") as writer:
        writer.intend(placing())
    path = tmp_path / "customers.jsonl"
    first, second, _ = path.read_bytes().split(b"\n")
    path.write_bytes(first + b"\n" + second[:left])
    ledger = read_ledger(tmp_path)
    assert [entry.event_type for entry in ledger.entries] == ["order_placed"]
    assert ledger.torn == ("customers.jsonl",)


def test_damage_inside_a_file_is_an_error_with_its_place(tmp_path: Path) -> None:
    with LedgerWriter(tmp_path, "customers") as writer:
        writer.intend(placing())
    path = tmp_path / "customers.jsonl"
    path.write_bytes(b"{}\n" + path.read_bytes())
    with pytest.raises(LedgerDamaged, match=r"customers\.jsonl, line 1: .* fix: "):
        read_ledger(tmp_path)


@pytest.mark.slow
@given(any_record.filter(lambda line: b"\n" not in line))
def test_any_line_is_an_entry_or_damage_with_its_place(line: bytes) -> None:
    with TemporaryDirectory() as folder:
        (Path(folder) / "customers.jsonl").write_bytes(line + b"\n")
        with pytest.raises(LedgerDamaged, match=r"line 1: .* fix: "):
            read_ledger(Path(folder))


def test_no_directory_is_an_empty_ledger(tmp_path: Path) -> None:
    assert read_ledger(tmp_path / "none").entries == ()


def test_there_are_no_names_in_it() -> None:
    assert not {"name", "email"} & {part for field in LedgerEntry.__struct_fields__ for part in field.split("_")}
