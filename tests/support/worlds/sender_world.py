"""A sender on a Kinesis in memory and on simulated time, in one thread: every test takes the same course each time."""

import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from foundation.diagnostics import Diagnostic
from foundation.kinesis.records import Record
from producers.publishing.publication import Publication, Published, PublishFailed
from producers.publishing.quota import KINESIS_QUOTA, Quota
from producers.publishing.sender import Sender
from tests.support.fakes.clock import FakeClock
from tests.support.fakes.kinesis import THROTTLED, FakeKinesis
from tests.support.fakes.kinesis_stream import HASH_KEYS, Stream

DELIVER_WITHIN = 60.0


class SlowKinesis(FakeKinesis):
    """Its PutRecords take `latency` seconds, drawn evenly from a range; half of that passes before it is applied."""

    latency = (0.0, 0.0)
    # The share of entries that it refuses, by chance.
    failing = 0.0
    # Whether it puts records on its shards by itself, whatever their keys; and whether it tells.
    spreads = False
    tells_that_it_spreads = True

    def __init__(self, time: FakeClock, *, seed: int, **options: Any) -> None:
        super().__init__(time.clock, **options)
        self._time = time
        self._chance = random.Random(seed)

    def put_records(self, **parameters: Any) -> dict[str, Any]:
        half = self._chance.uniform(*self.latency) / 2
        self._time.advance(half)
        answer = super().put_records(**parameters)
        self._time.advance(half)
        return answer

    def _append(self, stream: Stream, entry: dict[str, Any]) -> dict[str, Any]:
        """On AUTO Kinesis ignores partition keys and explicit hash keys."""
        if self.spreads:
            entry = {**entry, "ExplicitHashKey": str(self._chance.randrange(HASH_KEYS))}
        return super()._append(stream, entry)

    def _describe_stream_summary(self, StreamName: str) -> dict[str, Any]:  # noqa: N803
        answer = super()._describe_stream_summary(StreamName)
        if self.tells_that_it_spreads:
            strategy = "AUTO" if self.spreads else "USER_PARTITION_KEY"
            answer["StreamDescriptionSummary"]["RecordDistributionStrategy"] = strategy
        return answer

    def _rejection(self, stream: Stream, entry: dict[str, Any]) -> dict[str, Any] | None:
        if self._chance.random() < self.failing:
            return {"ErrorCode": THROTTLED, "ErrorMessage": "by chance"}
        return super()._rejection(stream, entry)


class World:
    """Publishes numbered texts under keys; what consumers are given of them is in `delivered`."""

    def __init__(
        self,
        *,
        shards: int = 2,
        quota: Quota = KINESIS_QUOTA,
        seed: int = 1,
        allow_unordered: bool = False,
        **options: Any,
    ) -> None:
        self.time = FakeClock()
        self.kinesis = SlowKinesis(self.time, shards=shards, seed=seed, **options)
        self.diagnostics: list[Diagnostic] = []
        self.answered: list[Publication] = []
        self.sent: list[Publication] = []
        self.sender = Sender(
            self.kinesis.client,
            "orders",
            quota=quota,
            clock=self.time.clock,
            emit=self.diagnostics.append,
            jitter=random.Random(seed),
            answered=self.answered.extend,
            allow_unordered=allow_unordered,
        )
        self._numbers: dict[str, int] = defaultdict(int)

    def take(self, keys: Iterable[str], size: int = 0) -> list[Publication]:
        """One record for each key named, in order."""
        records = [self._record(key, size) for key in keys]
        self.sent += records
        self.sender.take(records)
        return records

    def run(self, seconds: float = 600.0) -> None:
        """Until all is answered, or so many seconds have passed."""
        until = self.time.monotonic() + seconds
        while self.sender.waiting() and self.time.monotonic() < until:
            self.time.advance(min(self.sender.step(), 0.5))

    def deliver(self, keys: Iterable[str], size: int = 0) -> list[Publication]:
        records = self.take(keys, size)
        self.run()
        return records

    def backlogged(self, seconds: float, waiting: int = 20_000) -> None:
        """There is always more to send than goes, for so long."""
        until = self.time.monotonic() + seconds
        while self.time.monotonic() < until:
            if len(self.sent) - len(self.answered) < waiting:
                self.take(keys(2000, each=3), size=350)
            self.time.advance(min(self.sender.step(), 0.005))

    @property
    def requests(self) -> list[list[dict[str, Any]]]:
        return [call["Records"] for call in self.kinesis.calls("put_records")]

    def delivered(self) -> list[Record]:
        """In the order in which consumers see them: a parent shard's before its children's."""
        return self.kinesis.user_records()

    def happened(self, kind: type[Diagnostic]) -> list[Any]:
        return [diagnostic for diagnostic in self.diagnostics if isinstance(diagnostic, kind)]

    def check(self, *, doubled: int = 0) -> None:
        """All is acknowledged where it is, nothing is lost, none runs ahead of an earlier one of its key."""
        assert all(isinstance(record._outcome, Published) for record in self.sent)
        assert len(self.answered) == len({id(record) for record in self.answered}) == len(self.sent)
        delivered = self.delivered()
        places = {(place.number, place.sub): place for place in delivered}
        for record in self.sent:
            published = record.result(0)
            found = places[published.sequence_number, published.sub_sequence_number]
            assert (found.partition_key, found.data) == (record.partition_key, record.data)
        assert out_of_order(delivered) == []
        assert len(delivered) - len({record.data for record in delivered}) == doubled
        assert {record.data for record in delivered} == {record.data for record in self.sent}

    def _record(self, key: str, size: int) -> Publication:
        self._numbers[key] += 1
        text = f"{key} {self._numbers[key]:06d}".encode()
        return Publication(
            key, text.ljust(size, b"."), text.decode(), give_up_at=self.time.monotonic() + DELIVER_WITHIN
        )


def out_of_order(delivered: Sequence[Record]) -> list[bytes]:
    """What comes for the first time behind a later one of its key. A repeat of what was seen is no disorder."""
    last: dict[str | None, bytes] = {}
    seen: set[bytes] = set()
    wrong = []
    for record in delivered:
        if record.data in seen:
            continue
        seen.add(record.data)
        if record.data < last.get(record.partition_key, b""):
            wrong.append(record.data)
        last[record.partition_key] = record.data
    return wrong


def failed(record: Publication) -> str:
    error = record.exception(0)
    assert isinstance(error, PublishFailed)
    return str(error)


def keys(count: int, each: int = 1) -> list[str]:
    """So many orders, `each` events of every one, one after another as they would happen."""
    return [f"order-{order}" for _ in range(each) for order in range(count)]
