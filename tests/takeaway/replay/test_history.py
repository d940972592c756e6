"""A consumer's first day: history, then places, then the stream; and whom history is not given."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from analytics.lake import Lake, NoLake
from consumers.engines.worker.leases import Lease
from consumers.specs import CONSUMERS, ConsumerSpec
from foundation.kinesis import HashKeyRange, SequenceNumber, Shard
from takeaway.errors import UserError
from takeaway.replay import Replay, begin_with_history, history, replayed

SHARD = Shard("shardId-000000000001", HashKeyRange(0, 1), parents=frozenset(), closed=False)


class Day:
    """What is done, in order; `leases` are there already."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, leases: int = 0, done: Replay | None = None) -> None:
        self.did: list[str] = []
        self.leases = {str(number): Lease(str(number), SequenceNumber("1")) for number in range(leases)}
        put: Callable[[str, Any], None] = lambda name, value: monkeypatch.setattr(history, name, value)  # noqa: E731
        put("from_environment", lambda *_: SimpleNamespace(start=None, stream="orders"))
        put("lease_table", lambda *_: self.table(self._add))
        put("aws", SimpleNamespace(client=lambda *_: None))
        put("listed_shards", lambda *_: [SHARD])
        put("creation_of", lambda *_: "creation-1")
        put("_places", self._places)
        put("replayed", lambda *_: self._replayed(done or Replay(7, 3)))

    def table(self, add: Callable[[Lease], bool]) -> SimpleNamespace:
        return SimpleNamespace(create=lambda _: True, list=lambda: self.leases, add=add)

    def _places(self, *_: Any) -> dict[str, SequenceNumber]:
        self.did.append("asked how far the lake is")
        return {SHARD.shard_id: SequenceNumber("17")}

    def _replayed(self, done: Replay) -> Replay:
        self.did.append("replayed")
        return done

    def _add(self, lease: Lease) -> bool:
        self.did.append(f"lease at {lease.checkpoint}")
        return True

    def begin(self, name: str = "promo_issuer") -> bool:
        return begin_with_history(CONSUMERS[name], {}, lambda _: None, lambda _: False)


def test_a_consumer_reads_the_stream_once_its_history_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    day = Day(monkeypatch)
    assert day.begin()
    assert day.did == ["asked how far the lake is", "replayed", "lease at 17"]


def test_one_that_was_cut_short_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    day = Day(monkeypatch, done=Replay(7, 0, cut_short=True))
    assert not day.begin()
    assert day.did == ["asked how far the lake is", "replayed"]


def test_without_a_lake_there_are_no_places_and_the_stream_is_read_from_its_beginning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    day = Day(monkeypatch, done=Replay(None, 0))
    assert day.begin()
    assert day.did == ["asked how far the lake is", "replayed"]


def test_a_lake_whose_log_is_gone_is_no_empty_history(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_lake(_: object) -> None:
        raise NoLake("there is no lake")

    def log_is_gone(_: object) -> None:
        raise UserError("the log is gone", "restore it")

    monkeypatch.setattr(history, "from_environment", lambda *_: SimpleNamespace(stream="orders"))
    monkeypatch.setattr(history, "customer_keys", lambda _: None)
    monkeypatch.setattr(Lake, "from_environment", no_lake)
    monkeypatch.setattr(history, "require_log", lambda _: None)
    assert replayed(CONSUMERS["tracker"], {}, lambda _: None, lambda _: False) == Replay(None, 0)
    monkeypatch.setattr(history, "require_log", log_is_gone)
    with pytest.raises(UserError, match="the log is gone"):
        replayed(CONSUMERS["tracker"], {}, lambda _: None, lambda _: False)


def test_what_fails_on_the_first_day_is_told_and_waited_out(monkeypatch: pytest.MonkeyPatch) -> None:
    day, told, failing = Day(monkeypatch), list[Any](), list[Exception]()
    places, add = day._places, day._add

    def fails_first(name: str, does: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            if name not in {str(error) for error in failing}:
                failing.append(ConnectionError(name))
                raise failing[-1]
            return does(*arguments)

        return call

    monkeypatch.setattr(history, "_places", fails_first("places", places))
    monkeypatch.setattr(history, "lease_table", lambda *_: day.table(fails_first("add", add)))
    assert begin_with_history(CONSUMERS["promo_issuer"], {}, told.append, lambda _: False)
    assert day.did == ["asked how far the lake is", "replayed", "lease at 17"]
    assert [one.error for one in told] == failing
    assert all(one.retry_in_seconds > 0 for one in told)


def test_a_stop_ends_the_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    day = Day(monkeypatch)
    monkeypatch.setattr(history, "_places", lambda *_: int("none"))
    assert not begin_with_history(CONSUMERS["promo_issuer"], {}, lambda _: None, lambda _: True)
    assert day.did == []


def test_one_that_has_begun_and_one_that_has_no_history_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    day = Day(monkeypatch, leases=1)
    assert day.begin()
    assert day.begin("voucher_mailer")
    assert day.begin("archiver")
    assert day.did == []


@pytest.mark.parametrize("spec", [one for one in CONSUMERS.values() if one.name not in {"promo_issuer", "tracker"}])
def test_one_with_effects_is_not_given_history(spec: ConsumerSpec) -> None:
    with pytest.raises(UserError, match=f"{spec.name} is not given history"):
        replayed(spec, {}, lambda _: None, lambda _: False)
