"""Findings: a checkup with one thing wrong has one problem, which names it and says what to do."""

from dataclasses import replace

import pytest

from takeaway.doctor.facts import (
    BackEnd,
    Checkup,
    Consumer,
    DeadLetters,
    LakeState,
    Problem,
    Process,
    Resource,
    ShardRate,
    ShardReading,
)
from takeaway.doctor.judge import findings
from tests.support.builders import NOON

SHARD = "shardId-000000000000"
READING = ShardReading(SHARD, "17", owner="worker-1", renewed=True, unread=False, waiting_seconds=0.0)
LATE = replace(READING, renewed=False, unread=True, waiting_seconds=70.0)
NAMES = ("restaurant_notifier", "user_notifier", "archiver")
STACK = Resource("stack", "takeaway", there=True, status="CREATE_COMPLETE")
STREAM = Resource("stream", "takeaway-orders", there=True, status="ACTIVE")
TABLE = Resource("table", "takeaway-outcomes", there=True, status="ACTIVE")
SENDER = Resource("sender", "orders@takeaway.example", there=True, status="Success")
LETTERS = DeadLetters("archiver", "s3://letters/archiver/")
LAKE = LakeState("s3://lake/events", version=3, rows=98, newest_file_at=NOON)
MEGABYTE = 1024 * 1024.0

LOCAL = BackEnd("http://127.0.0.1:4566", local=True, seconds=0.004, clock_ahead_seconds=0.4)
ARCHIVER = Process("archiver", 17, up=True, log="logs/archiver.log")

WELL = Checkup(
    examined_at=NOON,
    back_end=LOCAL,
    processes=(ARCHIVER,),
    resources=(STACK, STREAM, TABLE, SENDER),
    consumers=tuple(Consumer(name, f"takeaway-{name}", 1.5, shards=(READING,)) for name in NAMES),
    rates=(ShardRate(SHARD, 1000.0),),
    dead_letters=(LETTERS,),
    lake=LAKE,
)
REMOTE = replace(LOCAL, endpoint="AWS eu-west-1", local=False)


def resources(*some: Resource) -> Checkup:
    return replace(WELL, resources=some)


def archiver(*shards: ShardReading, ran: bool = True, trouble: str | None = None) -> Checkup:
    return replace(
        WELL,
        consumers=(*WELL.consumers[:2], Consumer("archiver", "takeaway-archiver", 1.5, ran, shards, trouble)),
    )


def test_a_system_that_is_well_has_no_problem() -> None:
    assert findings(WELL) == ()


@pytest.mark.parametrize(
    ("checkup", "section", "what", "fix"),
    [
        (
            replace(WELL, unsettled=(Problem("settings", "TAKEAWAY_STREAM is not set", "`takeaway deploy`"),)),
            "settings",
            "TAKEAWAY_STREAM is not set",
            "`takeaway deploy`",
        ),
        (
            replace(WELL, processes=(replace(ARCHIVER, up=False),)),
            "processes",
            "archiver has ended; its log: logs/archiver.log",
            "`takeaway up`",
        ),
        (
            replace(WELL, processes=(replace(ARCHIVER, name="api", trouble="HTTP 503"),)),
            "processes",
            "api is up and does not serve: HTTP 503",
            "logs/archiver.log",
        ),
        (
            replace(WELL, back_end=replace(LOCAL, trouble="Connection refused")),
            "back end",
            "http://127.0.0.1:4566 does not answer: Connection refused",
            "`takeaway up`",
        ),
        (
            replace(WELL, back_end=replace(REMOTE, trouble="ExpiredToken")),
            "back end",
            "AWS eu-west-1 does not answer: ExpiredToken",
            "credentials",
        ),
        (
            replace(WELL, back_end=replace(LOCAL, clock_ahead_seconds=31.0)),
            "back end",
            "clock is 31 s ahead of",
            "NTP",
        ),
        (
            replace(WELL, back_end=replace(LOCAL, clock_ahead_seconds=-3600.0)),
            "back end",
            "clock is 3600 s behind",
            "NTP",
        ),
        (resources(replace(STACK, status="ROLLBACK_COMPLETE")), "resources", "ROLLBACK_COMPLETE", "`takeaway deploy`"),
        (resources(STACK, replace(STREAM, status="DELETING")), "resources", "takeaway-orders is in DELETING", "wait"),
        (
            resources(STACK, replace(STREAM, there=False), replace(TABLE, there=False)),
            "resources",
            "half deployed, missing: stream takeaway-orders, table takeaway-outcomes",
            "TAKEAWAY_STACK=<name> takeaway deploy",
        ),
        (resources(replace(TABLE, there=False)), "resources", "missing: table takeaway-outcomes", "`takeaway deploy`"),
        (
            resources(STACK, replace(TABLE, there=None, detail="AccessDenied")),
            "resources",
            "could not be examined: table takeaway-outcomes (AccessDenied)",
            "allow",
        ),
        (resources(replace(SENDER, there=False)), "resources", "orders@takeaway.example is not verified", "deploy"),
        (
            replace(resources(replace(SENDER, there=False)), back_end=REMOTE),
            "resources",
            "orders@takeaway.example is not verified",
            "verify the address in SES",
        ),
        (
            archiver(LATE),
            "consumers",
            f"archiver stands still: nobody renews its leases, and records are unread on {SHARD}",
            "`takeaway work archiver`",
        ),
        (
            archiver(replace(LATE, owner=None), ran=False),
            "consumers",
            "archiver never ran, and records wait",
            "`takeaway work archiver`",
        ),
        (archiver(trouble="AccessDenied"), "consumers", "leases in takeaway-archiver", "allow"),
        (
            replace(WELL, consumers=(*WELL.consumers[:2], replace(WELL.consumers[2], reads_per_second=2.5))),
            "reading capacity",
            "together the consumers read a shard 5.5 times a second, and it allows 5",
            "TAKEAWAY_READS_PER_SECOND",
        ),
        (
            replace(WELL, rates=(ShardRate(SHARD, 0.6 * MEGABYTE),)),
            "reading capacity",
            f"{SHARD} takes in 0.60 MB a second, which 3 consumers read: 1.80 MB of the 2.00 MB",
            "`takeaway deploy --shards",
        ),
        (replace(WELL, rates=(ShardRate(SHARD, None, "throttled"),)), "reading capacity", "throttled", "look again"),
        (
            replace(WELL, dead_letters=(replace(LETTERS, count=1),)),
            "dead letters",
            "archiver could not process 1 record",
            "`takeaway dlq ls --consumer archiver`",
        ),
        (
            replace(WELL, dead_letters=(replace(LETTERS, count=10_000, more=True),)),
            "dead letters",
            "more than 10,000 records",
            "`takeaway dlq redrive --consumer archiver`",
        ),
        (
            replace(WELL, dead_letters=(replace(LETTERS, trouble="403"),)),
            "dead letters",
            "archiver could not be",
            "allow",
        ),
        (replace(WELL, lake=replace(LAKE, trouble="no answer")), "lake", "s3://lake/events", "TAKEAWAY_LAKE_BUCKET"),
    ],
)
def test_each_thing_that_is_wrong_is_one_problem(checkup: Checkup, section: str, what: str, fix: str) -> None:
    (problem,) = findings(checkup)
    assert problem.section == section
    assert what in problem.what
    assert fix in problem.fix


@pytest.mark.parametrize(
    "checkup",
    [
        archiver(replace(LATE, renewed=True)),
        archiver(replace(LATE, unread=False)),
        archiver(replace(LATE, unread=None)),
        archiver(replace(LATE, renewed=None)),
        archiver(replace(READING, renewed=False), ran=False),
        replace(WELL, rates=(ShardRate(SHARD, 0.52 * MEGABYTE),)),
        replace(WELL, consumers=(*WELL.consumers[:2], replace(WELL.consumers[2], reads_per_second=2))),
        replace(WELL, lake=LakeState("s3://lake/events")),
        replace(WELL, back_end=replace(LOCAL, clock_ahead_seconds=-29.0)),
        replace(WELL, back_end=replace(LOCAL, clock_ahead_seconds=None)),
        resources(replace(STACK, status="UPDATE_ROLLBACK_COMPLETE"), replace(STREAM, status="UPDATING")),
    ],
)
def test_what_is_not_known_to_be_wrong_is_no_problem(checkup: Checkup) -> None:
    assert findings(checkup) == ()


def test_a_consumer_that_stands_still_is_one_problem_for_all_its_shards() -> None:
    (problem,) = findings(archiver(LATE, replace(LATE, shard_id="shardId-1"), replace(READING, shard_id="shardId-2")))
    assert problem.what.endswith(f"{SHARD}, shardId-1")


def test_a_consumer_whose_process_has_ended_is_one_problem() -> None:
    (problem,) = findings(replace(archiver(LATE), processes=(replace(ARCHIVER, up=False),)))
    assert problem.section == "processes"


def test_without_a_back_end_what_was_started_is_still_told() -> None:
    nowhere = replace(
        WELL,
        back_end=None,
        unsettled=(Problem("settings", "no local AWS is up", "`takeaway up`"),),
        processes=(replace(ARCHIVER, up=False),),
    )
    assert [problem.section for problem in findings(nowhere)] == ["settings", "processes"]


def test_a_back_end_that_does_not_answer_hides_what_only_it_could_tell() -> None:
    dead = replace(WELL, back_end=replace(LOCAL, trouble="timed out"), dead_letters=(replace(LETTERS, count=2),))
    assert [problem.section for problem in findings(dead)] == ["back end"]
