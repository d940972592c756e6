"""What `takeaway lag` tells of a look: its rows, its JSON, its verdict, and what has changed since the look before."""

from dataclasses import replace

import pytest

from takeaway.lag import ReaderLag, ShardLag, as_facts, changes, rows
from takeaway.standing import Judgement, ShardStanding, Verdict
from tests.support.builders import NOON

OK = ShardLag(
    ShardStanding("shardId-0", "49", "machine-123456789012", unread=False, renewed=True), Judgement(Verdict.OK)
)
LATE = ShardLag(
    ShardStanding("shardId-1", "50", "b", unread=True, waiting_seconds=90.0),
    Judgement(Verdict.WARN, "it is behind", "wait", 90.0),
)
STALLED = ShardLag(
    replace(LATE.standing, waiting_seconds=7300.0), Judgement(Verdict.STALLED, "records wait", "read its log", 7300.0)
)
WORSENS = ShardLag(LATE.standing, Judgement(Verdict.WARN, "it falls behind", "more shards", 90.0, worsens=True))
UNSEEN = ReaderLag("billing", "billing", trouble="AccessDeniedException")


def a_reader(*shards: ShardLag) -> ReaderLag:
    return ReaderLag("user_notifier", "takeaway-user_notifier", shards=shards)


@pytest.mark.parametrize(
    ("reader", "verdict", "is_problem"),
    [
        (a_reader(), Verdict.OK, False),
        (a_reader(OK), Verdict.OK, False),
        (a_reader(OK, LATE), Verdict.WARN, False),
        (a_reader(WORSENS), Verdict.WARN, True),
        (a_reader(STALLED, OK, LATE), Verdict.STALLED, True),
        (UNSEEN, None, True),
    ],
)
def test_a_reader_is_as_well_as_its_worst_shard(reader: ReaderLag, verdict: Verdict | None, is_problem: bool) -> None:
    assert (reader.verdict, reader.is_problem) == (verdict, is_problem)
    facts = as_facts("orders", [a_reader(OK), reader])
    assert facts["ok"] is not is_problem
    assert facts["readers"][1]["verdict"] == (verdict.value if verdict else None)


def test_a_row_says_which_shard_how_it_is_how_long_it_waits_and_which_worker_has_it() -> None:
    told = rows([a_reader(OK, STALLED), UNSEEN])
    assert [tuple(row.values()) for row in told] == [
        ("user_notifier", "shardId-0", "ok", "-", "…123456789012"),
        ("user_notifier", "shardId-1", "stalled", "2 h", "b"),
        ("billing", "", "unknown", "", ""),
    ]


def test_the_first_look_tells_all_and_each_other_what_has_changed() -> None:
    first = [a_reader(OK, LATE)]
    assert [(one.shard_id, one.before, one.now) for one in changes(NOON, (), first)] == [
        ("shardId-0", None, "ok"),
        ("shardId-1", None, "warn"),
    ]
    assert list(changes(NOON, first, first)) == []
    (worse,) = changes(NOON, first, [a_reader(OK, STALLED)])
    assert (worse.at, worse.reader, worse.before, worse.now) == (NOON, "user_notifier", "warn", "stalled")
    assert (worse.why, worse.fix) == ("records wait", "read its log")
    # A shard that is new, and a reader that cannot be seen any more.
    (new,) = changes(NOON, [a_reader(OK)], [a_reader(OK, LATE)])
    assert new.before is None
    (unseen,) = changes(NOON, [replace(UNSEEN, trouble=None, shards=())], [UNSEEN])
    assert (unseen.shard_id, unseen.now, unseen.why) == ("", "unknown", "AccessDeniedException")
