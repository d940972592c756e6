"""Every fault is what it says, loses no event, and is in the ledger; faults compose, and the seed decides."""

from collections import Counter
from collections.abc import Mapping
from datetime import timedelta

import pytest

from events.wire import UnknownEvent, UnreadableEvent, decode, encode
from producers.load.history.faults import OVERSIZE_BYTES, Delivery, constant, inject
from producers.load.ledger import FaultKind, InjectedFault, digest
from tests.support.builders import NOON, an_envelope

KEPT = {FaultKind.LATE, FaultKind.OUT_OF_ORDER, FaultKind.CLOCK_SKEW}
DOUBLED = {FaultKind.DUPLICATE, FaultKind.OVERSIZE}
NEWER = {FaultKind.UNKNOWN_TYPE, FaultKind.UNKNOWN_VERSION}


def verdict_of(kind: FaultKind) -> str:
    kinds = {"kept": KEPT, "doubled": DOUBLED, "newer": NEWER}
    return next((verdict for verdict, those in kinds.items() if kind in those), "quarantined")


def deliveries(count: int = 300) -> list[Delivery]:
    made = []
    for number in range(count):
        at = NOON + timedelta(seconds=10 * number)
        envelope = an_envelope(order_id=f"order-{number}", occurred_at=at)
        made.append(Delivery(at, encode(envelope), envelope.event_id, envelope.order_id))
    return made


def injected(
    rates: Mapping[FaultKind, float], seed: int = 1, count: int = 300
) -> tuple[list[Delivery], list[InjectedFault]]:
    notes: list[InjectedFault] = []
    return list(inject(deliveries(count), constant(rates), seed, notes.append)), notes


@pytest.mark.parametrize("kind", FaultKind)
def test_a_fault_does_what_its_verdict_says(kind: FaultKind) -> None:
    arrived, notes = injected({kind: 0.3}, count=20 if kind is FaultKind.OVERSIZE else 300)
    originals = {each.event_id: each for each in deliveries()}
    assert notes
    assert len({note.fault_id for note in notes}) == len(notes)
    verdict = verdict_of(kind)
    assert {note.verdict for note in notes} == {verdict}
    for note in notes:
        [made] = [each for each in arrived if each.event_id == note.event_id and digest(each.data) == note.digest][-1:]
        if verdict == "quarantined":
            with pytest.raises(UnreadableEvent):
                decode(made.data)
            assert originals[note.event_id] in arrived
        elif verdict == "newer":
            with pytest.raises(UnknownEvent) as raised:
                decode(made.data)
            assert raised.value.header.order_id == note.order_id
            assert raised.value.header.event_id not in originals
            assert originals[note.event_id] in arrived
        else:
            assert decode(made.data).event_id == note.event_id
    times = Counter(each.event_id for each in arrived)
    assert all(times[note.event_id] == (1 if verdict == "kept" else 2) for note in notes)
    assert not any(b"\n" in each.data for each in arrived)


def test_without_faults_nothing_is_changed() -> None:
    assert injected({}) == (deliveries(), [])


@pytest.mark.slow
def test_all_at_once_lose_nothing_and_come_in_order_of_time() -> None:
    arrived, notes = injected(dict.fromkeys(FaultKind, 0.1), count=200)
    assert {note.fault for note in notes} == set(FaultKind)
    assert {each.event_id for each in arrived if _readable(each)} == {each.event_id for each in deliveries(200)}
    moments = [each.arrives_at for each in arrived]
    assert moments == sorted(moments)


def test_the_seed_decides() -> None:
    rates = {FaultKind.DUPLICATE: 0.2, FaultKind.TRUNCATED: 0.2}
    assert injected(rates, 1) == injected(rates, 1)
    assert injected(rates, 1) != injected(rates, 2)


def test_another_fault_leaves_the_others_where_they_were() -> None:
    _, alone = injected({FaultKind.DUPLICATE: 0.2})
    _, both = injected({FaultKind.POISON: 0.2, FaultKind.DUPLICATE: 0.2})
    assert [note for note in both if note.fault == FaultKind.DUPLICATE] == alone


def test_late_and_out_of_order_are_overtaken_and_skewed_clocks_lie() -> None:
    for kind in (FaultKind.LATE, FaultKind.OUT_OF_ORDER):
        arrived, notes = injected({kind: 0.1})
        assert [each.event_id for each in arrived] != [each.event_id for each in deliveries()]
        for note in notes:
            [made] = [each for each in arrived if each.event_id == note.event_id]
            assert made.arrives_at - decode(made.data).occurred_at >= timedelta(seconds=30)
    arrived, notes = injected({FaultKind.CLOCK_SKEW: 0.1})
    for note in notes:
        [made] = [each for each in arrived if each.event_id == note.event_id]
        off = abs(decode(made.data).occurred_at - made.arrives_at)
        assert timedelta(seconds=30) <= off <= timedelta(seconds=300)


def test_oversize_is_over_the_limit() -> None:
    arrived, notes = injected({FaultKind.OVERSIZE: 1.0}, count=2)
    assert len(notes) == 2
    assert sorted(len(each.data) > OVERSIZE_BYTES for each in arrived) == [False, False, True, True]


def _readable(delivery: Delivery) -> bool:
    try:
        decode(delivery.data)
    except UnreadableEvent:
        return False
    return True
