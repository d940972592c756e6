"""What one record, one customer or one bad deployment does to a shard, and what it does not."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError, EndpointConnectionError, ReadTimeoutError

from consumers.batching.attempt import MOST_IN_A_ROW
from consumers.batching.processor import MOST_WAITING
from consumers.batching.rules import BatchRules
from consumers.diagnostics import RecordSetApart, ShardStopped, ShardWaits
from consumers.engines.feeding import Feeder
from consumers.processing import ShardAssignment, Standstill, Unprocessable
from foundation.calls import CallFailed
from foundation.kinesis.records import Batch, Sentinel
from tests.consumers.batching.test_processor import Handler, Shard
from tests.support.builders import a_batch, a_record

pytestmark = pytest.mark.slow

UNLISTED = ClientError({"Error": {"Code": "SomethingNew", "Message": "to <ada@example.com>"}}, "SendEmail")
RULES = BatchRules(parallelization_factor=1)


@dataclass
class Stream:
    """A shard under the engines' own feeder: a second for each read, so many records each time."""

    before: Callable[[str], Any]
    rules: BatchRules = RULES
    shard: Shard = field(init=False)
    number: int = 0
    arrived: dict[str, float] = field(default_factory=dict)
    done_at: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.shard = Shard(Handler(self._before), self.rules)
        assignment = ShardAssignment("orders", "shardId-000000000000", Sentinel.TRIM_HORIZON)
        self.checkpoint: Any = Sentinel.TRIM_HORIZON
        self.feeder = Feeder(
            self.shard.processor,
            assignment,
            checkpoint=self._checkpoint,
            wait=self.shard.time.wait,
            emit=self.shard.happened.append,
        )

    def _before(self, text: str) -> None:
        self.before(text)
        self.done_at[text] = self.shard.time.monotonic()

    def _checkpoint(self, position: Any) -> bool:
        self.checkpoint = position
        return True

    def read(self, *texts: str) -> None:
        """A read of these records, each a key of its own, or `key:text`."""
        records = []
        for text in texts:
            self.number += 1
            self.arrived.setdefault(text, self.shard.time.monotonic())
            records.append(a_record(self.number, data=text.encode(), order_id=text.partition(":")[0]))
        assert self.feeder.feed(a_batch(*records))
        self.shard.time.advance(1)

    def all(self, kind: type[Any]) -> list[Any]:
        return [one for one in self.shard.happened if isinstance(one, kind)]

    @property
    def apart(self) -> list[str]:
        return [letter.payload.decode() for letter in self.shard.letters.written]

    def delays(self) -> dict[str, float]:
        return {text: at - self.arrived[text] for text, at in self.done_at.items()}


def fails(error: Exception, starts: str = "bad") -> Callable[[str], None]:
    def before(text: str) -> None:
        if text.startswith(starts):
            raise error

    return before


@pytest.mark.parametrize("size", [1, 10, 40])
def test_forty_orders_of_one_refused_customer_in_the_middle_of_honest_traffic(size: int) -> None:
    """The refusal is on no list. They come together, as many at a read as there are."""
    stream = Stream(fails(UNLISTED))
    bad = [f"bad-{number}" for number in range(40)]
    for turn in range(120):
        stream.read(f"good-{turn}-a", *bad[turn * size : (turn + 1) * size], f"good-{turn}-b")
        if len(stream.apart) == len(bad):
            break
    assert sorted(stream.apart) == sorted(bad)
    assert stream.shard.time.monotonic() < 120
    assert max(stream.delays().values()) <= 10
    assert {letter.kind for letter in stream.shard.letters.written} == {"Suspected"}
    letter = stream.shard.letters.written[0].error
    assert "SendEmail answered SomethingNew" in letter
    assert "worked" in letter
    assert "ada@" not in str(stream.all(RecordSetApart)) + str(stream.all(ShardWaits))
    assert stream.checkpoint.number == str(stream.number)


def test_so_many_of_them_that_a_read_has_nothing_else() -> None:
    stream = Stream(fails(UNLISTED))
    stream.read("good-before")
    stream.read(*(f"bad-{number}" for number in range(40)))
    for turn in range(120):
        stream.read(f"good-{turn}")
    assert len(stream.apart) == 40
    assert stream.shard.time.monotonic() < 300


def test_what_is_behind_a_suspected_record_in_its_key_keeps_its_order() -> None:
    stream = Stream(fails(UNLISTED, "bad:1"))
    stream.read("bad:0", "bad:1", "bad:2")
    stream.read("bad:3")
    for turn in range(40):
        stream.read(f"good-{turn}")
    assert stream.apart == ["bad:1"]
    assert [text for text in stream.shard.handler.done if text.startswith("bad")] == ["bad:0", "bad:2", "bad:3"]


def test_a_refusal_of_everybody_makes_no_letter_and_the_shard_waits() -> None:
    stream = Stream(fails(UNLISTED, ""))
    for turn in range(100):
        stream.read(f"order-{turn}")
    assert stream.apart == []
    assert stream.checkpoint is Sentinel.TRIM_HORIZON
    assert len(stream.shard.handler.calls) < stream.shard.time.monotonic()
    stream.before = lambda _: None
    for _ in range(40):
        stream.read()
    assert len(stream.shard.handler.done) == 100


def test_one_that_no_other_can_be_compared_with_waits() -> None:
    stream = Stream(fails(UNLISTED))
    stream.read("bad")
    for _ in range(1000):
        stream.read()
    assert stream.apart == []
    assert 30 < len(stream.shard.handler.calls) < 60


@pytest.mark.parametrize(
    "error",
    [
        ClientError({"Error": {"Code": "InternalFailure", "Message": ""}}, "Publish"),
        CallFailed("sns", "Publish", ValueError("a page"), 503),
        ReadTimeoutError(endpoint_url="https://sns.example"),
    ],
)
def test_one_that_always_breaks_the_service_is_no_letter_and_holds_up_nobody(error: Exception) -> None:
    stream = Stream(fails(error))
    stream.read("good-before", "bad", "good-behind")
    for turn in range(100):
        stream.read(f"good-{turn}")
    assert stream.apart == []
    assert max(stream.delays().values()) <= 1
    assert stream.shard.time.monotonic() == 101
    assert stream.checkpoint.number == "1"


def test_nor_does_one_that_is_read_alone() -> None:
    """Nothing else works meanwhile, for nothing else was read: some minutes, then the shard reads on."""
    stream = Stream(fails(OSError("no route")))
    stream.read("bad")
    assert 60 < stream.shard.time.monotonic() < 600
    for turn in range(100):
        stream.read(f"good-{turn}")
    assert max(stream.delays().values()) <= 1


BAD_GATEWAY: Any = {"Error": {"Code": "", "Message": ""}, "ResponseMetadata": {"HTTPStatusCode": 502}}
ODD = (
    ClientError({"Error": {"Code": "Throttling", "Message": ""}}, "Publish"),
    ClientError({"Error": {"Code": "ServiceUnavailable", "Message": ""}}, "Publish"),
    ClientError(BAD_GATEWAY, "Publish"),
    CallFailed("sns", "Publish", ValueError("a page"), 503),
    CallFailed("sns", "Publish", ValueError("no body"), 408),
    CallFailed("sns", "Publish", RuntimeError("late credentials"), None),
    ReadTimeoutError(endpoint_url="https://sns.example"),
    ConnectTimeoutError(endpoint_url="https://sns.example"),
    EndpointConnectionError(endpoint_url="https://sns.example"),
    ConnectionResetError(),
)


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.03, 0.1, 0.3, 0.5])
@pytest.mark.parametrize("seed", range(8))
def test_a_partial_outage_makes_no_letter_and_loses_nothing(seed: int, share: float) -> None:
    chance = random.Random(seed)

    def before(_: str) -> None:
        if chance.random() < share:
            raise chance.choice(ODD)

    stream = Stream(before, BatchRules(parallelization_factor=1, batch_size=chance.choice([1, 7, 500])))
    each = [f"order-{chance.randint(0, 60)}:{turn}" for turn in range(400)]
    left = list(each)
    while left:
        some, left = left[:20], left[20:]
        stream.read(*some[: chance.randint(1, 20)])
        stream.read(*some[len(stream.arrived) - (len(each) - len(left) - len(some)) :])
    assert stream.feeder.finish()
    assert stream.apart == []
    assert sorted(stream.shard.handler.done) == sorted(each)
    for key in {text.partition(":")[0] for text in each}:
        mine = [text for text in each if text.startswith(f"{key}:")]
        assert [text for text in stream.shard.handler.done if text.startswith(f"{key}:")] == mine


# Our own code.


def test_a_bad_deployment_stands_still_tries_another_record_each_time_and_goes_on_by_itself() -> None:
    stream = Stream(fails(KeyError("ada@example.com"), ""))
    each = [f"order-{number:02}" for number in range(30)]
    stream.read(*each)
    tried = len(stream.shard.handler.calls)
    assert tried == MOST_IN_A_ROW
    for _ in range(20):
        stream.read()
    assert stream.apart == []
    probes = [text for (text,) in stream.shard.handler.calls[tried:]]
    assert len(probes) == 20
    assert len(set(probes)) == 20
    stopped = stream.all(ShardStopped)
    assert all(isinstance(one.error, Standstill) for one in stopped)
    assert "KeyError at test_verdicts_in_a_shard.py" in str(stopped[0].error)
    assert "ada@" not in str(stopped)
    stream.before = lambda _: None
    stream.read()
    assert sorted(stream.shard.handler.done) == each
    assert stream.apart == []


def test_a_few_records_on_a_quiet_shard_are_a_bad_deployment_too() -> None:
    stream = Stream(fails(KeyError("menu"), ""))
    stream.read("a", "b")
    for _ in range(60):
        stream.read()
    assert stream.all(ShardStopped)
    assert stream.apart == []


def test_a_record_that_our_code_fails_on_alone_is_set_apart_when_others_work() -> None:
    stream = Stream(fails(KeyError("menu")))
    stream.read("bad")
    for _ in range(60):
        stream.read()
    assert stream.all(ShardStopped)
    for turn in range(60):
        stream.read(f"good-{turn}")
    assert stream.apart == ["bad"]
    assert max(stream.delays().values()) <= 30
    assert [letter.kind for letter in stream.shard.letters.written] == ["KeyError"]


def test_what_failed_with_all_others_has_all_its_attempts_again() -> None:
    """The code works again for most, and for the others a little later."""
    stream = Stream(fails(KeyError("menu"), ""))
    each = [f"order-{number:02}" for number in range(12)]
    stream.read(*each)
    for _ in range(100):
        stream.read()
    stream.before = fails(KeyError("menu"), "order-0")
    stream.read()
    stream.before = lambda _: None
    for _ in range(10):
        stream.read()
    assert stream.apart == []
    assert sorted(stream.shard.handler.done) == each


def test_one_that_cannot_be_heard_by_our_own_code_is_no_bad_record() -> None:
    class Deaf(Handler):
        def hear(self, record: Any) -> str | None:
            if self.deaf:
                raise TypeError("a bug")
            return super().hear(record)

        deaf = True

    handler = Deaf()
    shard = Shard(handler, RULES)
    batch = a_batch(*(a_record(number, data=b"text", order_id=f"o{number}") for number in range(1, 20)))
    for _ in range(20):
        shard.processor.process(batch)
        shard.time.advance(30)
    assert shard.letters.written == []
    handler.deaf = False
    shard.until_done(batch)
    assert len(handler.done) == 19


# Bounds.


def test_ten_thousand_garbage_records_pass_and_nothing_is_kept_of_them() -> None:
    stream = Stream(lambda _: None, BatchRules())
    stream.read("good-before", *["unreadable"] * 2000, "good-behind")
    assert len(stream.apart) == 2000
    assert stream.shard.handler.done == ["good-before", "good-behind"]
    assert stream.shard.processor._waiting == []
    assert stream.shard.processor._experience._trials == {}


def test_what_waits_behind_a_record_is_bounded_and_holds_no_payload() -> None:
    stream = Stream(fails(OSError("no route")), BatchRules(batch_size=10_000))
    stream.read("bad", "good")
    stream.read(*(f"good-{number}" for number in range(500)))
    waiting = stream.shard.processor._waiting
    assert len(waiting) == 502
    assert [one.record.data for one in waiting if one.record.data] == [b"bad"]
    stream.shard.processor._waiting = waiting + waiting[-1:] * (MOST_WAITING - len(waiting))
    progress = stream.shard.processor.process(Batch("orders", "shardId-000000000000", Sentinel.TRIM_HORIZON, (), 0))
    assert progress.failure is not None
    assert progress.failure.pace.name == "STILL"


def test_an_unprocessable_event_for_every_order_stops_nothing() -> None:
    stream = Stream(fails(Unprocessable("SES refuses"), "bad"))
    stream.read(*(f"bad-{number}" for number in range(300)), "good")
    assert len(stream.apart) == 300
    assert stream.shard.handler.done == ["good"]
    assert not stream.all(ShardStopped)
