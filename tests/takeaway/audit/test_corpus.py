"""The audit over whatever lies on the stream and among the letters: each record is a fact or a bad one."""

import pytest

from consumers.dead_letters.addresses import DROPPED
from events.wire import encode
from foundation import aws
from foundation.bucket import Bucket
from foundation.kinesis.records import SequenceNumber
from takeaway.audit import evidence
from takeaway.audit.evidence import set_apart, stream_facts
from tests.support.builders import an_envelope
from tests.support.corpus import GARBAGE, ODD, numbered
from tests.support.fakes.bucket import FakeBucket
from tests.support.fakes.clock import FakeClock
from tests.support.worlds.redrive_world import SHARD, a_letter
from tests.takeaway.audit.test_observer import ENVIRON, PagedKinesis


@pytest.mark.slow
def test_each_record_of_the_corpus_is_a_fact_or_an_unreadable_place(monkeypatch: pytest.MonkeyPatch) -> None:
    kinesis = PagedKinesis(FakeClock().clock, shards=2)
    monkeypatch.setattr(aws, "client", lambda *_: kinesis)
    monkeypatch.setattr(evidence, "lake_names", lambda *_: str)
    for number, data in enumerate(GARBAGE.values()):
        kinesis.client.put_record(StreamName="orders", PartitionKey=f"order-{number}", Data=data)
    for number, data in enumerate(ODD.values()):
        kinesis.put_without_key(numbered(data, number))
    kinesis.put_without_key(encode(an_envelope(order_id="honest")))
    facts, unreadable = stream_facts(ENVIRON)
    assert len(facts) == len(ODD) + 1
    assert len(unreadable) == len(GARBAGE)


def test_dropped_letters_count_and_what_is_no_letter_has_no_place() -> None:
    bucket = FakeBucket("dead-letters")
    letters = [a_letter(number, consumer="archiver").key for number in (1, 2, 3)]
    other = a_letter(4, consumer="restaurant_notifier").key
    foreign = ["archiver/note", "archiver/a/b", f"{DROPPED}archiver/x", "archiver/orders/x/y-z.json"]
    bucket.objects = dict.fromkeys(
        (letters[0], DROPPED + letters[0], DROPPED + letters[1], letters[2], other, *foreign), b""
    )
    found = Bucket(bucket.client, "dead-letters")
    assert set_apart(found, "archiver") == {(SHARD, SequenceNumber(str(number))) for number in (1, 2, 3)}
    assert set_apart(found, "archiver", "orders/") == set_apart(found, "archiver")
    assert set_apart(found, "archiver", "others/") == frozenset()
