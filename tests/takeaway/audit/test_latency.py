from datetime import timedelta

from takeaway.audit.facts import Effect
from takeaway.audit.latency import Latency, latencies
from tests.support.builders import NOON


def seconds(value: float) -> timedelta:
    return timedelta(seconds=value)


def test_it_counts_from_the_intended_time_to_the_services_own_stamp() -> None:
    intended = {f"p-{number}": NOON for number in range(100)}
    effects = [Effect("ticket", f"p-{number}", NOON + seconds(number / 10)) for number in range(100)]
    assert latencies(intended, effects) == (Latency("ticket", 100, seconds(4.9), seconds(9.8)),)


def test_a_repeated_message_counts_by_its_first_arrival() -> None:
    effects = [Effect("e-mail", "a", NOON + seconds(9)), Effect("e-mail", "a", NOON + seconds(2))]
    assert latencies({"a": NOON}, effects) == (Latency("e-mail", 1, seconds(2), seconds(2)),)


def test_what_nobody_intended_or_nobody_stamped_is_not_timed() -> None:
    assert latencies({"a": NOON}, [Effect("ticket", "b", NOON), Effect("ticket", "a")]) == ()


def test_it_reads_as_a_sentence() -> None:
    (latency,) = latencies({"a": NOON}, [Effect("ticket", "a", NOON + seconds(0.5))])
    assert str(latency) == "ticket p50 0.50 s, p99 0.50 s after the intended placing"
