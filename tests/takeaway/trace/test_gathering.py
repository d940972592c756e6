"""What is gathered of an order while the flow goes on, and where one store does not answer."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from consumers.steps.answers import Attempts, after_attempts, nothing, outcome_of
from events.wire import encode
from foundation import aws
from foundation.kinesis import HashKeyRange, SequenceNumber, Shard
from takeaway.errors import UserError
from takeaway.trace import gathering
from takeaway.trace.facts import OrderFacts, Sighting, Source
from takeaway.trace.stream import OnStream, StreamReader
from tests.support.builders import NOON
from tests.support.fakes.clock import START, FakeClock
from tests.support.subscribers import SUBSCRIBERS
from tests.takeaway.trace.an_order import ACCEPTED, NOTIFIED, ORDER, PLACED, REJECTED, SHARD, TOLD, place, seen

ENVIRON = {"TAKEAWAY_STREAM": "orders"}
EVENTS = (PLACED, NOTIFIED, ACCEPTED, TOLD)


class World:
    """Four events on the stream, and an archiver that commits one more after each question."""

    def __init__(self) -> None:
        self.committed = 1
        self.since: object = None

    def archived(self, *_: object) -> dict[str, SequenceNumber]:
        answer = {SHARD: SequenceNumber(str(self.committed))}
        self.committed += 1
        return answer

    def in_lake(self, *_: object) -> tuple[int, list[Sighting]]:
        rows = [one for number in range(1, self.committed + 1) for one in seen(EVENTS[number - 1], number)]
        self.committed += 1
        return self.committed, rows

    def on_stream(
        self, reader: StreamReader, _: object, *, archived: Mapping[str, SequenceNumber], name_of: object
    ) -> OnStream:
        assert name_of
        self.since = reader.since
        places = [(number, event) for number, event in enumerate(EVENTS, 1) if place(number)[1] > archived[SHARD]]
        return OnStream(tuple(one for number, event in places for one in seen(event, number, Source.STREAM)))


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()
    shard = Shard(SHARD, HashKeyRange(0, 2**128 - 1))
    monkeypatch.setattr(gathering, "lake_names", lambda *_: lambda shard_id: shard_id)
    monkeypatch.setattr(gathering, "stream_shards", lambda *_: [shard])
    monkeypatch.setattr(gathering, "_archived", world.archived)
    monkeypatch.setattr(gathering, "_in_lake", world.in_lake)
    monkeypatch.setattr(gathering, "order_on_stream", world.on_stream)
    monkeypatch.setattr(gathering, "orders_table", lambda *_: NoTable())
    monkeypatch.setattr(gathering, "letters_of", lambda *_: ([], 0, 0))
    monkeypatch.setattr(gathering, "_remembered", lambda *_: [])
    return world


class NoTable:
    """An orders table that one may not read."""

    def get(self, _: str) -> Any:
        raise ClientError({"Error": {"Code": "AccessDeniedException"}}, "GetItem")


def gathered() -> OrderFacts:
    time = FakeClock()
    time.advance(3600)
    return gathering.order_facts(ENVIRON, ORDER, within=20, clock=time.clock, wait=time.wait)


@pytest.mark.usefixtures("world")
def test_an_event_that_is_archived_while_one_looks_is_missed_by_none() -> None:
    found = {one.header.event_id for one in gathered().sightings}
    assert found == {event.event_id for event in EVENTS}


@pytest.mark.parametrize(
    ("moment", "since"),
    [
        (datetime.min.replace(tzinfo=UTC), START - gathering.LONGEST_RETENTION - gathering.MARGIN),
        (START - timedelta(hours=1), START - timedelta(hours=1) - gathering.MARGIN),
        (datetime.max.replace(tzinfo=UTC), START - gathering.MARGIN),
    ],
)
def test_whatever_a_clock_says_kinesis_is_asked_for_a_time_that_it_takes(moment: datetime, since: datetime) -> None:
    assert gathering.since_when([moment, datetime.max.replace(tzinfo=UTC)], START) == since
    assert gathering.since_when([], START) is None


def test_the_stream_is_read_from_a_minute_before_the_first_that_is_known(world: World) -> None:
    facts = gathered()
    assert world.since == START + timedelta(seconds=1) - gathering.MARGIN
    assert facts.archived == {SHARD: SequenceNumber("1")}


def test_what_does_not_answer_is_told_and_hides_nothing_else(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object, **__: object) -> OnStream:
        raise UserError("it cannot be read: ProvisionedThroughputExceededException", "wait")

    monkeypatch.setattr(gathering, "order_on_stream", away)

    def denied(*_: object) -> object:
        raise ClientError({"Error": {"Code": "AccessDenied"}}, "ListObjectsV2")

    monkeypatch.setattr(gathering, "letters_of", denied)
    facts = gathered()
    assert world.committed > 1
    assert [one.source for one in facts.sightings] == [Source.LAKE] * 2
    assert facts.looked.not_looked == (
        "the orders table: AccessDeniedException",
        "the stream: it cannot be read: ProvisionedThroughputExceededException",
        "the dead letters: AccessDenied",
    )


class Outcomes:
    """Those of every consumer: each heard event has been answered by the customer's notice."""

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def recall(self, event_ids: Sequence[str]) -> dict[str, bytes]:
        return dict.fromkeys(event_ids, encode(TOLD))


def test_what_a_consumer_did_is_shown_of_every_event_that_its_steps_hear(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = SimpleNamespace(outcomes_table="outcomes", keep_outcomes=timedelta(days=1), application=str)
    monkeypatch.setattr(gathering, "from_environment", lambda *_: settings)
    monkeypatch.setattr(aws, "client", lambda *_: None)
    monkeypatch.setattr(gathering, "DynamoDBOutcomes", Outcomes)
    time = FakeClock()
    sightings = [*seen(ACCEPTED, 1), *seen(REJECTED, 2), *seen(NOTIFIED, 3)]
    found = gathering._remembered(ENVIRON, sightings, [], time.clock, time.wait)
    assert {(one.consumer, one.heard) for one in found if one.consumer not in SUBSCRIBERS} == {
        ("user_notifier", ACCEPTED.event_id),
        ("user_notifier", REJECTED.event_id),
    }


def test_an_effect_alone_and_several_events_are_no_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = SimpleNamespace(outcomes_table="outcomes", keep_outcomes=timedelta(days=1), application=str)
    several = outcome_of(ACCEPTED, [TOLD.event, TOLD.event], actor="user_notifier", at=NOON)
    outcomes = {ACCEPTED.event_id: several.data, REJECTED.event_id: nothing(REJECTED.order_id)}
    monkeypatch.setattr(gathering, "from_environment", lambda *_: settings)
    monkeypatch.setattr(aws, "client", lambda *_: None)
    monkeypatch.setattr(gathering, "DynamoDBOutcomes", Outcomes)
    monkeypatch.setattr(Outcomes, "recall", lambda _, ids: {one: outcomes[one] for one in ids if one in outcomes})
    time, not_looked = FakeClock(), list[str]()
    sightings = [*seen(ACCEPTED, 1), *seen(REJECTED, 2)]
    found = gathering._remembered(ENVIRON, sightings, not_looked, time.clock, time.wait)
    assert [one.told and one.told.event_id for one in found] == [one.envelope.event_id for one in several.follows]
    assert not_looked == []


def test_attempts_are_gathered_of_an_effect_alone_too(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = SimpleNamespace(outcomes_table="outcomes", keep_outcomes=timedelta(days=1), application=str)
    attempts = Attempts(3, "Unavailable")
    outcomes = {
        heard.event_id: after_attempts(outcome_of(heard, answer, actor="a", at=NOON), ORDER, attempts).data
        for heard, answer in ((ACCEPTED, TOLD.event), (REJECTED, None))
    }
    monkeypatch.setattr(gathering, "from_environment", lambda *_: settings)
    monkeypatch.setattr(aws, "client", lambda *_: None)
    monkeypatch.setattr(gathering, "DynamoDBOutcomes", Outcomes)
    monkeypatch.setattr(Outcomes, "recall", lambda _, ids: {one: outcomes[one] for one in ids if one in outcomes})
    time = FakeClock()
    sightings = [*seen(ACCEPTED, 1), *seen(REJECTED, 2)]
    found = gathering._remembered(ENVIRON, sightings, [], time.clock, time.wait)
    told = {
        one.heard: (one.told and one.told.event_type, one.attempts) for one in found if one.consumer == "user_notifier"
    }
    assert told == {ACCEPTED.event_id: ("user_notified", attempts), REJECTED.event_id: (None, attempts)}
