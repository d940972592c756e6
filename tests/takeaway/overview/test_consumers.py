"""How a consumer stands, from its leases at two looks and the records behind its checkpoints; pure."""

from dataclasses import replace
from datetime import timedelta

from consumers.engines.worker.leases.lease import Lease
from consumers.engines.worker.leases.note import Note
from consumers.processing import Trouble
from consumers.specs import CONSUMERS
from foundation.kinesis.records import Sentinel, SequenceNumber
from takeaway.doctor import Process
from takeaway.overview.consumers import Glance, ReadBy, consumer_flow, glances, mark_of
from takeaway.overview.facts import ConsumerFlow
from takeaway.overview.stretch import ShardRecords, Stretch
from takeaway.standing import Verdict
from tests.support.builders import NOON
from tests.takeaway.overview.test_stretch import an_entry, read

SHARD = "shardId-000000000000"
OTHER = "shardId-000000000001"
LEASE = Lease(SHARD, SequenceNumber("1"), counter=7, owner="worker-1")
FROZEN = Process("user_notifier", 4242, up=True, log="log", frozen=True)


def a_note(seconds: float, trouble: Trouble | None = None) -> Note:
    return Note("worker-1", "1", NOON - timedelta(seconds=seconds), NOON - timedelta(hours=1), trouble)


def records(*ago: float) -> ShardRecords:
    return ShardRecords(
        read(None, an_entry(1, ago=max(ago, default=0)), *(an_entry(2 + n, ago=s) for n, s in enumerate(ago)))
    )


def stands(
    lease: Lease | None = LEASE,
    *,
    renewed: bool | None = True,
    shards: dict[str, ShardRecords] | None = None,
    before: Lease | None = None,
    process: Process | None = None,
    name: str = "user_notifier",
) -> ConsumerFlow:
    leases = {} if lease is None else {lease.shard_id: Glance(lease, 0.0, renewed)}
    was = {SHARD: Glance(before, 0.0)} if before else None
    read_by = ReadBy(CONSUMERS[name], "leases", None if lease is None else leases, 1.0, process=process)
    return consumer_flow(read_by, was, {SHARD: records(50, 40)} if shards is None else shards, NOON, 2.0)


def test_lag_owner_and_the_age_of_the_checkpoint_are_told() -> None:
    flow = stands(replace(LEASE, note=a_note(45)))
    assert flow.lag is not None
    assert (flow.lag.records, flow.lag.seconds, flow.checkpoint_seconds) == (2, 50, 45)
    assert flow.owners == ("worker-1",)
    assert flow.verdict is Verdict.OK


def test_one_that_stands_for_longer_than_it_may_is_stalled() -> None:
    flow = stands(replace(LEASE, note=a_note(90)), shards={SHARD: records(100)})
    assert flow.verdict is Verdict.STALLED
    assert flow.shards[0].judgement.is_problem


def test_a_frozen_process_is_the_verdict_whatever_its_shards_say() -> None:
    assert stands(process=FROZEN).verdict is Verdict.STOPPED


def test_what_its_worker_notes_at_two_looks_is_told() -> None:
    failing = replace(LEASE, note=a_note(9, Trouble("Refused: no", NOON, stopped=False)))
    assert stands(failing, before=failing).errors == ("Refused: no",)
    assert stands(failing, before=LEASE).errors == ()


def test_one_that_never_ran_has_all_of_it_to_read_and_hears_what_its_steps_do() -> None:
    flow = stands(None)
    assert not flow.ran
    assert flow.lag is not None
    assert flow.lag.records == 3
    assert flow.verdict is Verdict.STOPPED
    assert "order_accepted" in flow.listens_to
    assert stands(None, shards={}).verdict is Verdict.OK


def test_an_observer_that_hosts_others_hears_everything() -> None:
    flow = stands(name="archiver")
    assert (flow.hosts, flow.listens_to) == (("tracker",), ())


def test_a_shard_without_a_lease_and_one_that_could_not_be_read_have_no_lag_and_the_others_at_least_so_much() -> None:
    without = stands(shards={SHARD: records(5), OTHER: records(5)})
    assert [one.lag is None for one in without.shards] == [False, True]
    assert without.lag is not None
    assert (without.lag.records, without.lag.at_least) == (1, True)
    assert stands(shards={}).lag is None
    finished = stands(replace(LEASE, checkpoint=Sentinel.SHARD_END), shards={})
    assert finished.lag is not None
    assert (finished.lag.records, finished.lag.at_least) == (0, False)


def test_a_lease_is_kept_while_its_counter_grows_and_lost_behind_its_patience() -> None:
    first = glances(None, {SHARD: LEASE}, 0.0, 4.0)
    assert first[SHARD].renewed is None
    same = glances(first, {SHARD: LEASE}, 3.0, 4.0)
    assert same[SHARD].renewed is None
    grown = glances(same, {SHARD: replace(LEASE, counter=8)}, 4.0, 4.0)
    assert grown[SHARD].renewed is True
    late = glances(grown, {SHARD: replace(LEASE, counter=8)}, 9.0, 4.0)
    assert late[SHARD].renewed is False


def test_where_unread_records_begin() -> None:
    assert mark_of(LEASE, None) == (True, SequenceNumber("1"))
    assert mark_of(replace(LEASE, checkpoint=Sentinel.TRIM_HORIZON), None) == (True, None)
    assert mark_of(replace(LEASE, checkpoint=Sentinel.LATEST, latest_since=NOON), None) == (True, NOON)
    assert mark_of(replace(LEASE, checkpoint=Sentinel.AT_TIMESTAMP), None) == (False, None)
    assert mark_of(replace(LEASE, trouble="no number"), None) == (False, None)
    assert stands(replace(LEASE, checkpoint=Sentinel.LATEST)).shards[0].unseen
    assert Stretch(None).covers(NOON)
