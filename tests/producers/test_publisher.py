"""The publisher's promises, broken where Kinesis breaks: order, no loss, no acknowledgement of its own invention."""

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

import producers.publisher
from events.envelope import EventEnvelope
from events.orders import Event
from events.wire import decode
from foundation.diagnostics import Diagnostic
from producers.diagnostics import EntriesRejected, PutRecordsFailed, RecordsGivenUp
from producers.lanes import MAX_REQUEST_ENTRIES, Published
from producers.publisher import EventPublisher, PublisherClosed, PublisherForked, PublishFailed
from tests.builders import an_envelope, an_order_placed
from tests.fakes.clock import FakeClock
from tests.fakes.kinesis import FakeKinesis

SECONDS = timedelta(seconds=20)


class Bench:
    """A publisher on a Kinesis in memory; `hold()` keeps its thread from sending until it is left."""

    def __init__(self, *, shards: int = 2) -> None:
        self.time = FakeClock()
        self.kinesis = FakeKinesis(self.time.clock, shards=shards)
        self.diagnostics: list[Diagnostic] = []
        self.gate = threading.Event()
        self.gate.set()

        def emit(diagnostic: Diagnostic) -> None:
            self.diagnostics.append(diagnostic)

        def wait(seconds: float) -> bool:
            self.gate.wait()
            return self.time.wait(seconds)

        self.publisher = EventPublisher(
            self.kinesis.client, "orders", clock=self.time.clock, wait=wait, emit=emit, linger=timedelta(seconds=1)
        )

    def together(self, envelopes: list[EventEnvelope[Event]]) -> list[Future[Published]]:
        """Publishes them so that none is sent before all are queued."""
        self.gate.clear()
        futures = self.publisher.publish_all(envelopes)
        self.gate.set()
        return futures

    def event_ids(self, order_id: str | None = None) -> list[str]:
        return [
            decode(record["Data"]).event_id
            for record in self.kinesis.records()
            if order_id in (None, record["PartitionKey"])
        ]

    def happened(self, kind: type[Diagnostic]) -> list[Any]:
        return [diagnostic for diagnostic in self.diagnostics if isinstance(diagnostic, kind)]


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    with made.publisher:
        yield made


def events(orders: int, each: int = 1) -> list[EventEnvelope[Event]]:
    """`each` events of every order, one after another as they would happen."""
    return [
        an_envelope(order_id=f"order-{order}", cause=f"key-{step}") for step in range(each) for order in range(orders)
    ]


def failing(future: Future[Published]) -> PublishFailed:
    error = future.exception(20)
    assert isinstance(error, PublishFailed)
    return error


def test_a_future_tells_where_the_record_is(bench: Bench) -> None:
    published = bench.publisher.publish(an_envelope(order_id="order-7")).result(20)
    [record] = bench.kinesis.records(published.shard_id)
    assert (record["SequenceNumber"], record["PartitionKey"]) == (published.sequence_number, "order-7")
    assert published.attempts == 1


def test_what_is_queued_together_is_sent_together(bench: Bench) -> None:
    for future in bench.together(events(orders=50)):
        future.result(20)
    assert [len(call["Records"]) for call in bench.kinesis.calls("put_records")] == [50]


def test_no_request_has_more_than_500_entries(bench: Bench) -> None:
    for future in bench.together(events(orders=MAX_REQUEST_ENTRIES + 50)):
        future.result(20)
    # The last to be queued may miss the second request, on a busy machine.
    first, *rest = [len(call["Records"]) for call in bench.kinesis.calls("put_records")]
    assert (first, sum(rest)) == (MAX_REQUEST_ENTRIES, 50)


def test_no_request_has_two_records_of_one_order(bench: Bench) -> None:
    for future in bench.together(events(orders=3, each=5)):
        future.result(20)
    for call in bench.kinesis.calls("put_records"):
        keys = [entry["PartitionKey"] for entry in call["Records"]]
        assert len(keys) == len(set(keys))


def test_order_holds_through_partial_failures(bench: Bench) -> None:
    sent = events(orders=20, each=20)
    chance = iter(range(10**9))
    bench.kinesis.reject_entries(lambda _: next(chance) % 3 == 0, times=150)
    for future in bench.together(sent):
        future.result(20)
    for order in range(20):
        order_id = f"order-{order}"
        assert bench.event_ids(order_id) == [envelope.event_id for envelope in sent if envelope.order_id == order_id]


def test_only_the_rejected_are_sent_again(bench: Bench) -> None:
    bench.kinesis.reject_entries(lambda entry: entry["PartitionKey"] == "order-3", times=2)
    attempts = [future.result(20).attempts for future in bench.together(events(orders=10))]
    assert attempts == [1, 1, 1, 3, 1, 1, 1, 1, 1, 1]
    assert len(bench.event_ids()) == len(set(bench.event_ids())) == 10
    assert [len(call["Records"]) for call in bench.kinesis.calls("put_records")] == [10, 1, 1]


def test_one_orders_trouble_does_not_hold_up_the_others(bench: Bench) -> None:
    bench.kinesis.reject_entries(lambda entry: entry["PartitionKey"] == "order-0", times=4)
    for future in bench.together(events(orders=2, each=3)):
        future.result(20)
    keys = [record["PartitionKey"] for record in bench.kinesis.records()]
    assert keys[:3] == ["order-1"] * 3


def test_a_rejection_is_told_with_its_code(bench: Bench) -> None:
    bench.kinesis.reject_entries(lambda _: True, code="InternalFailure")
    bench.publisher.publish(an_envelope()).result(20)
    assert bench.happened(EntriesRejected) == [EntriesRejected("orders", 1, 1, "InternalFailure")]


def test_backoff_grows_and_has_a_ceiling(bench: Bench) -> None:
    bench.kinesis.fail("put_records", "InternalFailure", times=10)
    bench.publisher.publish(an_envelope()).result(20)
    waits = [failed.retry_in for failed in bench.happened(PutRecordsFailed)]
    ceilings = [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 2, 2, 2, 2]
    assert all(ceiling / 2 <= wait <= ceiling for wait, ceiling in zip(waits, ceilings, strict=True))


def test_a_failed_request_is_repeated_whole_and_in_order(bench: Bench) -> None:
    bench.kinesis.fail("put_records", "ServiceUnavailable", times=3)
    sent = events(orders=2, each=3)
    for future in bench.together(sent):
        future.result(20)
    assert bench.event_ids("order-1") == [envelope.event_id for envelope in sent[1::2]]
    assert len(bench.event_ids()) == 6


def test_a_lost_answer_doubles_a_record_under_the_same_event_id_and_never_loses_one(bench: Bench) -> None:
    bench.kinesis.lose_answer("put_records")
    envelope = an_envelope()
    assert bench.publisher.publish(envelope).result(20).attempts == 2
    assert bench.event_ids() == [envelope.event_id] * 2


def test_fewer_results_than_entries_acknowledge_nothing_more(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    put_records: Callable[..., dict[str, Any]] = bench.kinesis.put_records
    cut = iter([1])

    def short(**parameters: Any) -> dict[str, Any]:
        answer = put_records(**parameters)
        return answer | {"Records": answer["Records"][: next(cut, None)]}

    monkeypatch.setattr(bench.kinesis, "put_records", short)
    attempts = [future.result(20).attempts for future in bench.together(events(orders=3))]
    assert attempts == [1, 2, 2]


NOTHING_TOLD: list[dict[str, Any]] = [
    {"ResponseMetadata": {}},
    {"Records": None},
    {"Records": []},
    {"Records": [None]},
    {"Records": [{}]},
    {"Records": [{"SequenceNumber": "1"}]},
]


@pytest.mark.parametrize("odd", NOTHING_TOLD)
def test_an_answer_that_tells_nothing_acknowledges_nothing_and_ends_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, odd: dict[str, Any]
) -> None:
    """What botocore makes of an HTTP 200 whose body is not Kinesis' own."""
    put_records: Callable[..., dict[str, Any]] = bench.kinesis.put_records
    answers = iter([odd])
    monkeypatch.setattr(bench.kinesis, "put_records", lambda **sent: next(answers, None) or put_records(**sent))
    sent = events(orders=1, each=3)
    assert [future.result(20).attempts for future in bench.together(sent)] == [2, 1, 1]
    assert bench.event_ids() == [envelope.event_id for envelope in sent]
    assert [told.codes for told in bench.happened(EntriesRejected)] == ["Unanswered"]
    assert bench.publisher.alive


def test_a_record_is_given_up_at_the_deadline_with_the_reason_and_the_fix(bench: Bench) -> None:
    bench.kinesis.fail("put_records", "ResourceNotFoundException", times=1000)
    error = failing(bench.publisher.publish(an_envelope()))
    for told in ("order_placed", "stream orders", "60 s", "ResourceNotFoundException", "fix: "):
        assert told in str(error)
    assert [given_up.records for given_up in bench.happened(RecordsGivenUp)] == [1]
    assert bench.time.monotonic() >= 60


def test_after_an_outage_the_publisher_goes_on(bench: Bench) -> None:
    bench.kinesis.fail("put_records", "InternalFailure", times=1000)
    failing(bench.publisher.publish(an_envelope()))
    bench.kinesis._faults.clear()
    assert bench.publisher.publish(an_envelope()).result(20).attempts >= 1


def test_an_oversize_record_fails_alone_and_at_once(bench: Bench) -> None:
    huge = an_envelope(an_order_placed(customer_name="x" * 1024 * 1024))
    too_large, fine = bench.together([huge, an_envelope()])
    assert too_large.done()
    assert "bytes" in str(failing(too_large))
    assert fine.result(20).attempts == 1


def test_a_key_kinesis_refuses_fails_alone(bench: Bench) -> None:
    assert "partition key" in str(failing(bench.publisher.publish(an_envelope(order_id="k" * 257))))


def test_a_future_cannot_be_cancelled_under_way(bench: Bench) -> None:
    [future] = bench.together(events(orders=1))
    assert not future.cancel()
    future.result(20)


def test_a_full_queue_holds_the_publisher_back(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(producers.publisher, "MAX_QUEUED_RECORDS", 3)
    bench.gate.clear()
    for envelope in events(orders=3):
        bench.publisher.publish(envelope)
    with ThreadPoolExecutor(1) as pool:
        held_back = pool.submit(bench.publisher.publish, an_envelope(order_id="order-9"))
        assert not bench.kinesis.calls("put_records")
        with pytest.raises(TimeoutError):
            held_back.result(0.05)
        bench.gate.set()
        assert held_back.result(20).result(20).attempts == 1


def test_many_threads_may_publish(bench: Bench) -> None:
    sent = events(orders=8, each=25)
    by_order = [[envelope for envelope in sent if envelope.order_id == f"order-{order}"] for order in range(8)]
    bench.kinesis.reject_entries(lambda _: True, times=20)
    with ThreadPoolExecutor(8) as pool:
        for futures in pool.map(bench.publisher.publish_all, by_order):
            for future in futures:
                future.result(20)
    for order, envelopes in enumerate(by_order):
        assert bench.event_ids(f"order-{order}") == [envelope.event_id for envelope in envelopes]


def test_flush_waits_for_all_that_is_queued(bench: Bench) -> None:
    futures = bench.publisher.publish_all(events(orders=5, each=5))
    bench.publisher.flush(SECONDS)
    assert all(future.done() for future in futures)


def test_flush_says_how_many_it_could_not_wait_for(bench: Bench) -> None:
    bench.gate.clear()
    bench.publisher.publish_all(events(orders=3))
    with pytest.raises(TimeoutError, match=r"3 of 3 .* fix: "):
        bench.publisher.flush(timedelta(milliseconds=1))
    bench.gate.set()


def test_close_sends_what_is_queued_and_takes_no_more() -> None:
    bench = Bench()
    bench.kinesis.reject_entries(lambda _: True, times=3)
    futures = bench.together(events(orders=4, each=2))
    bench.publisher.close()
    bench.publisher.close()
    assert all(future.done() for future in futures)
    assert len(bench.event_ids()) == 8
    assert not bench.publisher.alive
    with pytest.raises(PublisherClosed, match="it was closed"):
        bench.publisher.publish(an_envelope())


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_defect_in_the_thread_leaves_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()

    def broken(**_: Any) -> None:
        raise KeyError("Records")

    monkeypatch.setattr(bench.kinesis, "put_records", broken)
    for future in bench.together(events(orders=1, each=2)):
        assert "KeyError" in str(failing(future))
    bench.publisher._thread.join()
    assert not bench.publisher.alive
    with pytest.raises(PublisherClosed, match="KeyError"):
        bench.publisher.publish(an_envelope())


def test_a_forked_child_is_told_so(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    parent = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: parent + 1)
    with pytest.raises(PublisherForked, match="after the fork"):
        bench.publisher.publish(an_envelope())
    with pytest.raises(PublisherForked):
        bench.publisher.flush(SECONDS)
    monkeypatch.undo()


def test_the_published_bytes_read_back_as_the_event(bench: Bench) -> None:
    envelope = an_envelope()
    bench.publisher.publish(envelope).result(20)
    assert [decode(record["Data"]) for record in bench.kinesis.records()] == [envelope]
