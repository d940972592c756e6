"""Findings: a checkup with one thing wrong has one problem, which names it and says what to do."""

from dataclasses import replace
from typing import Any

import pytest

from consumers.processing import Trouble
from takeaway.doctor.facts import (
    BackEnd,
    Checkup,
    Consumer,
    DeadLetters,
    Disk,
    LakeState,
    Problem,
    Process,
    Resource,
    ShardRate,
    UnknownVariable,
)
from takeaway.doctor.judge import findings, size_in_words, warnings
from takeaway.standing.logs import LoggedTrouble
from takeaway.standing.shard_standing import ShardStanding
from tests.support.builders import NOON

SHARD = "shardId-000000000000"
READING = ShardStanding(SHARD, "17", owner="worker-1", renewed=True, unread=False, waiting_seconds=0.0)
LEFT = replace(READING, renewed=False, unread=True, waiting_seconds=70.0)
STANDING = replace(LEFT, renewed=True, moved_at=NOON, standing_seconds=80.0, held_seconds=800.0)
LATE = replace(STANDING, standing_seconds=5.0)
STOPPED = replace(STANDING, trouble=Trouble("the lake contradicts itself", NOON, stopped=True))
FAILING = replace(STANDING, trouble=Trouble("OSError: no route", NOON), trouble_seconds=130.0)
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


def consumer(name: str, *shards: ShardStanding, **facts: Any) -> Consumer:
    start = f"start it: `takeaway work {name}`"
    return Consumer(name, f"takeaway-{name}", 1.0, start, 1.5, 0.7 * MEGABYTE, shards=shards, **facts)


WELL = Checkup(
    examined_at=NOON,
    back_end=LOCAL,
    processes=(ARCHIVER,),
    resources=(STACK, STREAM, TABLE, SENDER),
    consumers=tuple(consumer(name, READING) for name in NAMES),
    rates=(ShardRate(SHARD, 1000.0),),
    dead_letters=(LETTERS,),
    lake=LAKE,
)
REMOTE = replace(LOCAL, endpoint="AWS eu-west-1", local=False)


def resources(*some: Resource) -> Checkup:
    return replace(WELL, resources=some)


def slow(one: Consumer) -> Consumer:
    return replace(one, bytes_per_second=0.6 * MEGABYTE)


def archiver(*shards: ShardStanding, **facts: Any) -> Checkup:
    return replace(WELL, consumers=(*WELL.consumers[:2], consumer("archiver", *shards, **facts)))


LOGGED = LoggedTrouble("ClientError: AccessDeniedException", NOON)
OLD = replace(ARCHIVER, up_seconds=600.0)


def test_an_event_that_no_participant_declares_is_a_warning_by_name() -> None:
    (warned,) = warnings(replace(WELL, lake=replace(LAKE, undeclared=(("order_ready.v1", 3),))))
    assert (warned.section, warned.what.split(" is ")[0]) == ("lake", "order_ready.v1")
    assert "3 rows" in warned.what
    assert warnings(WELL) == ()


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
            replace(WELL, processes=(replace(ARCHIVER, up=False, last_words="error: TAKEAWAY_STREAM is not set"),)),
            "processes",
            "archiver has ended: error: TAKEAWAY_STREAM is not set; its log: logs/archiver.log",
            "`takeaway up`",
        ),
        (
            replace(WELL, processes=(replace(ARCHIVER, frozen=True),)),
            "processes",
            "archiver is frozen",
            "`kill -CONT 17`",
        ),
        (
            replace(WELL, processes=(replace(ARCHIVER, name="api", refuses_key=True),)),
            "settings",
            "refuses tokens that are signed with TAKEAWAY_TOKEN_KEY",
            "unset TAKEAWAY_TOKEN_KEY",
        ),
        (
            replace(WELL, unknown_variables=(UnknownVariable("TAKEAWAY_SEND", "environment", "TAKEAWAY_SENDER"),)),
            "settings",
            "TAKEAWAY_SEND is set in the environment, and no setting is called so",
            "did you mean TAKEAWAY_SENDER?",
        ),
        (
            replace(WELL, unknown_variables=(UnknownVariable("TAKEAWAY_X", "archiver"),)),
            "settings",
            "TAKEAWAY_X is set for archiver",
            "unset it",
        ),
        (
            replace(WELL, disks=(Disk("home", 5, "No space left on device"),)),
            "this machine",
            "home cannot be written: No space left on device",
            "make room",
        ),
        (
            archiver(LEFT),
            "consumers",
            f"archiver is stopped on {SHARD}: records wait, and no worker keeps its lease (for 70 s)",
            "`takeaway work archiver`",
        ),
        (
            archiver(STANDING),
            "consumers",
            f"archiver stands still on {SHARD}: records wait, and its checkpoint does not move (for 70 s)",
            "`takeaway work archiver`",
        ),
        (
            archiver(STOPPED),
            "consumers",
            f"archiver is stopped on {SHARD}: the lake contradicts itself",
            "deploy again",
        ),
        (
            archiver(FAILING),
            "consumers",
            f"archiver stands still on {SHARD}: it fails again and again: OSError: no route (for 2 min)",
            "mend what it says",
        ),
        (
            archiver(replace(LATE, moved=True, waiting_seconds=90.0, waiting_seconds_before=80.0)),
            "consumers",
            f"archiver is late on {SHARD}: it moves, and falls further behind (for 90 s)",
            "takeaway deploy --shards",
        ),
        (
            replace(archiver(replace(READING, renewed=False)), processes=(OLD,)),
            "consumers",
            "archiver is up, process 17, and keeps none of its leases alive",
            "logs/archiver.log",
        ),
        (
            replace(archiver(LEFT, logged=LOGGED), processes=(OLD,)),
            "consumers",
            "archiver cannot look after its leases in takeaway-archiver, since 12:00:00 UTC: ClientError: AccessDenied",
            "logs/archiver.log",
        ),
        (
            archiver(logged=LOGGED, trouble="AccessDenied"),
            "consumers",
            "could not be read: AccessDenied; its own log says so too, since 12:00:00 UTC: ClientError: AccessDenied",
            "allow",
        ),
        (
            archiver(replace(LEFT, owner=None), ran=False),
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
        (
            replace(WELL, rates=(ShardRate(SHARD, 0.5 * MEGABYTE),), consumers=(slow(WELL.consumers[0]),)),
            "reading capacity",
            f"{SHARD} takes in 0.50 MB a second, and these may read hardly more: restaurant_notifier 0.60 MB",
            "TAKEAWAY_READ_BYTES_PER_SECOND",
        ),
        (replace(WELL, rates=(ShardRate(SHARD, None, "throttled"),)), "reading capacity", "throttled", "look again"),
        (
            replace(WELL, dead_letters=(replace(LETTERS, count=1, looked_at=1, kinds=(("KeyError", 1),)),)),
            "dead letters",
            "archiver could not process 1 record: 1 KeyError",
            "`takeaway dlq ls --consumer archiver`",
        ),
        (
            replace(WELL, dead_letters=(replace(LETTERS, count=10_000, more=True),)),
            "dead letters",
            "more than 10,000 records",
            "`takeaway dlq redrive --consumer archiver`",
        ),
        (
            replace(
                WELL,
                dead_letters=(replace(LETTERS, count=2_000, more=True, looked_at=1, kinds=(("KeyError", 1),)),),
            ),
            "dead letters",
            "more than 2,000 records: of 1 that was read, 1 KeyError",
            "`takeaway dlq drop`",
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
        archiver(replace(LEFT, renewed=True)),
        archiver(replace(LEFT, unread=False)),
        archiver(replace(LEFT, unread=None)),
        archiver(replace(LEFT, renewed=None)),
        archiver(LATE),
        archiver(replace(READING, renewed=False), ran=False),
        replace(archiver(replace(READING, renewed=False)), processes=(replace(OLD, up_seconds=20.0),)),
        replace(archiver(READING, logged=LOGGED), processes=(OLD,)),
        replace(WELL, disks=(Disk("home", 1 << 30),)),
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
    longer = replace(LEFT, shard_id="shardId-1", waiting_seconds=300.0)
    (problem,) = findings(archiver(LEFT, longer, replace(READING, shard_id="shardId-2")))
    assert problem.what.startswith(f"archiver is stopped on {SHARD}, shardId-1: ")
    assert problem.what.endswith("(for 5 min)")


def test_of_many_shards_some_are_named_and_the_others_counted() -> None:
    (problem,) = findings(archiver(*(replace(LEFT, shard_id=f"shard-{number}") for number in range(9))))
    assert "on shard-0, shard-1, shard-2 and 6 more: " in problem.what


@pytest.mark.parametrize("process", [replace(ARCHIVER, up=False), replace(ARCHIVER, frozen=True)])
def test_a_consumer_whose_process_does_nothing_is_one_problem(process: Process) -> None:
    (problem,) = findings(replace(archiver(LEFT), processes=(process,)))
    assert problem.section == "processes"


@pytest.mark.parametrize(
    ("checkup", "what"),
    [
        (archiver(LATE), f"archiver on {SHARD}: it is behind (for 70 s)"),
        (archiver(replace(READING, unread=None, unseen="Throttled")), "it could not be looked at: Throttled"),
        (replace(WELL, disks=(Disk("home", 1024 * 1024),)), "home has only 1.00 MB left"),
    ],
)
def test_what_is_late_or_could_not_be_seen_is_a_warning(checkup: Checkup, what: str) -> None:
    assert findings(checkup) == ()
    (warning,) = warnings(checkup)
    assert what in warning.what


def test_a_system_that_is_well_has_no_warning() -> None:
    assert warnings(replace(WELL, disks=(Disk("home", 1 << 30),))) == ()


@pytest.mark.parametrize("trouble", ["back end", "no back end"])
def test_what_is_wrong_on_this_machine_is_told_whatever_else_is_away(trouble: str) -> None:
    ill = replace(
        WELL,
        back_end=replace(LOCAL, trouble="refused") if trouble == "back end" else None,
        disks=(Disk("home", 5, "No space left on device"),),
        unknown_variables=(UnknownVariable("TAKEAWAY_X", "archiver"),),
    )
    assert [problem.section for problem in findings(ill)][:2] == ["settings", "this machine"]


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


@pytest.mark.parametrize(
    ("count", "said"), [(699_051, "0.67 MB"), (2**30 - 2**20, "1023.00 MB"), (80 * 2**30, "80.0 GB")]
)
def test_a_size_is_told_in_its_unit(count: float, said: str) -> None:
    assert size_in_words(count) == said
