"""The judge: by movement against the stream's end, and by what a consumer's own worker tells."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.processing import Trouble
from takeaway.standing.judge import Verdict, allowance, judged
from takeaway.standing.shard_standing import ShardStanding
from tests.support.builders import NOON

PACE = 1.0
AGES = 86_400.0 * 30

IDLE = ShardStanding(
    "shardId-0", "17", "worker-1", unread=False, waiting_seconds=0.0, renewed=True, moved_at=NOON, standing_seconds=AGES
)
BUSY = replace(IDLE, unread=True, unread_records=1, waiting_seconds=0.4, standing_seconds=0.8, held_seconds=AGES)
BEHIND = replace(BUSY, waiting_seconds=3600.0)
STANDING = replace(BEHIND, standing_seconds=61.0)
FAILS = Trouble("OSError: no route", NOON)
STOPS = Trouble("a bad deployment", NOON, stopped=True)


@pytest.mark.parametrize(
    ("shard", "verdict"),
    [
        (IDLE, Verdict.OK),
        (BUSY, Verdict.OK),
        # Idle for a month, and a record that came just now.
        (replace(IDLE, unread=True, waiting_seconds=0.4), Verdict.OK),
        (replace(IDLE, unread=True, waiting_seconds=59.0), Verdict.OK),
        (replace(IDLE, unread=True, waiting_seconds=61.0, held_seconds=AGES), Verdict.STALLED),
        # A backlog of an hour, worked off.
        (BEHIND, Verdict.WARN),
        (replace(BEHIND, moved=True, waiting_seconds_before=3605.0), Verdict.WARN),
        (STANDING, Verdict.STALLED),
        (replace(STANDING, moved=True, waiting_seconds=0.5), Verdict.OK),
        # Its holder has only just come; but not for the third time.
        (replace(STANDING, held_seconds=5.0), Verdict.WARN),
        (replace(STANDING, held_seconds=5.0, takeovers=3), Verdict.STALLED),
        # Nobody keeps the lease.
        (replace(BUSY, renewed=False), Verdict.STOPPED),
        (replace(IDLE, renewed=False), Verdict.OK),
        (replace(STANDING, renewed=None), Verdict.STALLED),
        # What its own worker tells needs no minute.
        (replace(BUSY, trouble=FAILS), Verdict.STALLED),
        (replace(IDLE, trouble=FAILS), Verdict.STALLED),
        (replace(BUSY, trouble=STOPS), Verdict.STOPPED),
        (replace(BUSY, trouble=FAILS, moved=True), Verdict.OK),
        (replace(BUSY, trouble=FAILS, renewed=False), Verdict.STOPPED),
        # Read to its end, or not begun: a child is read after its parents.
        (replace(STANDING, finished=True), Verdict.OK),
        (replace(STANDING, waits_for=("shardId-9",), renewed=False), Verdict.OK),
        (replace(STANDING, waits_for=("shardId-9",), trouble=FAILS), Verdict.OK),
        # What could not be seen is no ✓.
        (replace(IDLE, unread=None, unseen="throttled"), Verdict.WARN),
        (replace(IDLE, unread=None, renewed=False), Verdict.WARN),
        # A lease table of others, without notes: only what was looked at is known.
        (replace(BEHIND, moved_at=None, standing_seconds=8.0, held_seconds=None), Verdict.WARN),
        (replace(BEHIND, moved_at=None, standing_seconds=61.0, held_seconds=None), Verdict.STALLED),
        (replace(BUSY, leased=False, owner=None, renewed=None, moved_at=None), Verdict.WARN),
        (replace(BEHIND, leased=False, owner=None, renewed=None, moved_at=None), Verdict.STOPPED),
        (replace(IDLE, unreadable="checkpoint is missing"), Verdict.STOPPED),
        (replace(IDLE, of_older_stream=True), Verdict.STOPPED),
        (replace(IDLE, of_older_stream=True, moved=True), Verdict.OK),
    ],
)
def test_verdicts(shard: ShardStanding, verdict: Verdict) -> None:
    judgement = judged(shard, PACE, start="start it")
    assert judgement.verdict is verdict, judgement
    assert judgement.is_problem is (verdict in {Verdict.STALLED, Verdict.STOPPED})
    assert bool(judgement.why) is bool(judgement.fix) is (verdict is not Verdict.OK)


@pytest.mark.parametrize(("now", "worsens"), [(100.0, True), (80.0, False)])
def test_what_moves_too_slowly_is_a_problem_and_what_catches_up_is_none(now: float, worsens: bool) -> None:
    moving = replace(BEHIND, moved=True, waiting_seconds_before=90.0, waiting_seconds=now)
    judgement = judged(moving, PACE, start="start it")
    assert (judgement.verdict, judgement.is_problem) == (Verdict.WARN, worsens)


@pytest.mark.parametrize(("pace", "seconds"), [(0.6, 60.0), (20.0, 60.0), (60.0, 180.0)])
def test_three_times_its_pace_and_a_minute_at_least(pace: float, seconds: float) -> None:
    assert allowance(pace) == seconds
    late = replace(STANDING, standing_seconds=seconds)
    assert judged(late, pace, start="").verdict is Verdict.STALLED
    assert judged(replace(late, standing_seconds=seconds - 0.1), pace, start="").verdict is not Verdict.STALLED


def test_the_trouble_is_told_in_its_own_words_and_for_how_long() -> None:
    judgement = judged(replace(BUSY, trouble=FAILS, trouble_seconds=12.0), PACE, start="start it")
    assert "OSError: no route" in judgement.why
    assert judgement.seconds == 12.0


paces = st.floats(0.1, 600)
seconds = st.floats(0, AGES)


@pytest.mark.slow
@given(
    pace=paces,
    part=st.floats(0, 1),
    waiting=seconds,
    before=st.none() | seconds,
    moved=st.booleans(),
    held=st.none() | seconds,
    takeovers=st.integers(0, 9),
    renewed=st.sampled_from([True, None]),
)
def test_a_consumer_that_moves_at_its_pace_never_stands_still(
    pace: float,
    part: float,
    waiting: float,
    before: float | None,
    moved: bool,
    held: float | None,
    takeovers: int,
    renewed: bool | None,
) -> None:
    shard = replace(
        BUSY,
        waiting_seconds=waiting,
        waiting_seconds_before=before,
        moved=moved,
        standing_seconds=part * pace,
        held_seconds=held,
        takeovers=takeovers,
        renewed=renewed,
    )
    assert judged(shard, pace, start="").verdict in {Verdict.OK, Verdict.WARN}


@pytest.mark.slow
@given(pace=paces, beyond=st.floats(0, AGES), waiting=st.floats(0, AGES), took_over=st.booleans())
def test_one_that_stands_with_records_unread_is_told_after_its_time(
    pace: float, beyond: float, waiting: float, took_over: bool
) -> None:
    time = allowance(pace)
    shard = replace(
        BUSY,
        standing_seconds=time + beyond,
        waiting_seconds=time + waiting,
        held_seconds=0.0 if took_over else time + beyond,
        takeovers=3 if took_over else 0,
    )
    assert judged(shard, pace, start="").verdict is Verdict.STALLED


@pytest.mark.slow
@given(pace=paces, standing=st.none() | seconds, held=st.none() | seconds, renewed=st.sampled_from([True, False, None]))
def test_an_idle_shard_is_well_however_old_its_checkpoint(
    pace: float, standing: float | None, held: float | None, renewed: bool | None
) -> None:
    shard = replace(IDLE, standing_seconds=standing, held_seconds=held, renewed=renewed)
    assert judged(shard, pace, start="").verdict is Verdict.OK


def test_what_a_worker_says_of_a_consumer_that_it_hosts_is_told_as_it_is_with_its_fix() -> None:
    said = "tracker refuses to go on with shardId-1: the table is another's"
    stops = judged(replace(STANDING, trouble=Trouble(f"{said}. fix: name its own", NOON, stopped=True)), 1.0, start="s")
    assert (stops.verdict, stops.why, stops.fix) == (Verdict.STOPPED, said, "name its own")
    fails = judged(replace(STANDING, trouble=Trouble("tracker fails on shardId-1: OSError: no", NOON)), 1.0, start="s")
    assert (fails.verdict, fails.why) == (
        Verdict.STALLED,
        "it fails again and again: tracker fails on shardId-1: OSError: no",
    )
    assert fails.fix.startswith("mend what it says")
