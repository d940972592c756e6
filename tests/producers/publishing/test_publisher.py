"""The publisher around its sender: any thread, one queue, back-pressure, an end in good order."""

import gc
import os
import threading
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

import producers.publishing.publisher
from events.envelope import EventEnvelope
from events.orders import Event
from events.wire import decode
from foundation.diagnostics import Diagnostic
from producers.publishing.lanes import Lanes
from producers.publishing.publication import Publication
from producers.publishing.publisher import EventPublisher, PublisherClosed, PublisherForked, PublishFailed
from tests.support.builders import an_envelope
from tests.support.fakes.clock import FakeClock
from tests.support.fakes.kinesis import FakeKinesis

SECONDS = timedelta(seconds=20)


class Bench:
    """A publisher on a Kinesis in memory; while the gate is closed, what lingers stays where it is."""

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

    def together(self, envelopes: list[EventEnvelope[Event]]) -> list[Publication]:
        """Publishes them while the thread lingers, if it does."""
        self.gate.clear()
        futures = self.publisher.publish_all(envelopes)
        self.gate.set()
        return futures

    def event_ids(self, order_id: str | None = None) -> list[str]:
        return [
            decode(record.data).event_id
            for record in self.kinesis.user_records()
            if order_id in (None, record.partition_key)
        ]


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


def failing(future: Publication) -> PublishFailed:
    error = future.exception(20)
    assert isinstance(error, PublishFailed)
    return error


def test_a_future_tells_where_the_record_is(bench: Bench) -> None:
    published = bench.publisher.publish(an_envelope(order_id="order-7")).result(20)
    [record] = bench.kinesis.records(published.shard_id)
    assert (record["SequenceNumber"], record["PartitionKey"]) == (published.sequence_number, "order-7")
    assert published.attempts == 1


def test_it_knows_the_stream_before_anything_is_published(bench: Bench) -> None:
    bench.publisher.publish(an_envelope()).result(20)
    assert [operation for operation, _ in bench.kinesis.log] == [
        "describe_stream_summary",
        "list_shards",
        "put_records",
    ]


def test_what_is_queued_is_held_until_the_linger_is_over(bench: Bench) -> None:
    bench.gate.clear()
    futures = [bench.publisher.publish(envelope) for envelope in events(orders=3)]
    with pytest.raises(TimeoutError):
        futures[0].result(0.05)
    assert not bench.kinesis.calls("put_records")
    bench.gate.set()
    assert {future.result(20).attempts for future in futures} == {1}
    assert len(bench.kinesis.calls("put_records")[0]["Records"]) <= 2


def test_a_full_queue_holds_the_publisher_back(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(producers.publishing.publisher, "MAX_QUEUED_RECORDS", 3)
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
    bench.kinesis.reject_entries(lambda _: True, times=6)
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


def test_flush_that_comes_when_the_last_answer_is_on_its_way_ends_with_it(bench: Bench) -> None:
    asked, answering = threading.Event(), threading.Event()
    put_records = bench.kinesis.put_records

    def slowly(**parameters: Any) -> Any:
        answer = put_records(**parameters)
        asked.set()
        answering.wait(20)
        return answer

    bench.kinesis.put_records = slowly  # type: ignore[method-assign]
    [future] = bench.together(events(orders=1))
    asked.wait(20)
    threading.Timer(0.1, answering.set).start()
    bench.publisher.flush(timedelta(seconds=20))
    assert future.done()


@pytest.mark.slow
def test_what_is_queued_at_once_keeps_to_the_bound_in_bytes(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(producers.publishing.publisher, "MAX_QUEUED_BYTES", 4 * 1024 * 1024)
    queued: list[int] = []
    put_records = bench.kinesis.put_records

    def looked_at(**parameters: Any) -> Any:
        queued.append(bench.publisher._bytes)
        return put_records(**parameters)

    bench.kinesis.put_records = looked_at  # type: ignore[method-assign]
    records = [Publication(f"order-{number}", b"x" * 300_000) for number in range(60)]
    bench.publisher.put(records)
    assert {record.result(20).attempts for record in records} == {1}
    assert max(queued) < 5.3 * 1024 * 1024


@pytest.mark.slow
def test_a_failure_that_was_raised_keeps_nothing_of_who_asked() -> None:
    class Asker:
        pass

    def ask(record: Publication) -> "weakref.ref[Asker]":
        asker = Asker()
        with pytest.raises(PublishFailed, match="why"):
            record.result(0)
        return weakref.ref(asker)

    record = Publication("order-1", b"x")
    record.settle(PublishFailed("why"))
    askers = [ask(record) for _ in range(3)]
    gc.collect()
    assert [asker() for asker in askers] == [None] * 3


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
@pytest.mark.parametrize("defect", ["add", "due"])
def test_a_defect_in_the_thread_leaves_nobody_waiting(monkeypatch: pytest.MonkeyPatch, defect: str) -> None:
    bench = Bench()

    def broken(*_: Any) -> None:
        raise KeyError("Records")

    monkeypatch.setattr(Lanes, defect, broken)
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
    assert [decode(record.data) for record in bench.kinesis.user_records()] == [envelope]
