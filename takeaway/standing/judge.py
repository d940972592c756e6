"""Judges how a consumer stands on a shard: by whether it moves towards the stream's end. Pure."""

from dataclasses import dataclass
from enum import StrEnum

from takeaway.standing.shard_standing import ShardStanding

# However quick a consumer is: a look that is unlucky, a pause of its machine or a hand-over is no standstill.
_LEAST_SECONDS = 60.0
_PACES = 3
# A lease that changes hands so often without a step forward is no fresh start.
_TAKEOVERS = 3


# What our own errors say at their end.
_FIX = ". fix: "


class Verdict(StrEnum):
    """OK: moves, or has nothing to do. WARN: moves, but late, or it could not be seen that it does.
    STALLED: has something to do, is tried, and does not move. STOPPED: is not tried, or refuses to go on.
    """

    OK = "ok"
    WARN = "warn"
    STALLED = "stalled"
    STOPPED = "stopped"


@dataclass(frozen=True)
class Judgement:
    """The verdict, why, and what to do; `seconds`: for how long it has been so, where that is known.

    `worsens`: it moves, and more comes than it does.
    """

    verdict: Verdict
    why: str = ""
    fix: str = ""
    seconds: float | None = None
    worsens: bool = False

    @property
    def is_problem(self) -> bool:
        return self.worsens or self.verdict in {Verdict.STALLED, Verdict.STOPPED}


_OK = Judgement(Verdict.OK)


def allowance(pace_seconds: float) -> float:
    """For how long a consumer that moves every `pace_seconds` may stand with records unread."""
    return max(_LEAST_SECONDS, _PACES * pace_seconds)


def judged(shard: ShardStanding, pace_seconds: float, *, start: str) -> Judgement:
    """The verdict on a consumer that writes a checkpoint every `pace_seconds` while there is something to do.

    `start` is the fix where it has to be started.
    """
    if shard.finished:
        return _OK
    if shard.unreadable is not None:
        return Judgement(
            Verdict.STOPPED,
            f"its lease makes no sense, so no worker takes it: {shard.unreadable}",
            "repair that row of the lease table, or remove it: the shard then begins anew",
        )
    if shard.of_older_stream and not shard.moved:
        return Judgement(
            Verdict.STOPPED,
            "its checkpoint is a place of a stream that was deleted: the stream was made anew under its name",
            "wait for two minutes: workers of this project read the new stream from its beginning by themselves. If it "
            "stays, stop its workers, remove the row from the lease table, and start them. What was unread of the old "
            "stream is lost",
            shard.standing_seconds,
        )
    # guarantee: what moves does not stand still
    if shard.moved:
        return _late(shard, pace_seconds) or _OK
    return _troubled(shard) or _standing(shard, pace_seconds, start)


def _troubled(shard: ShardStanding) -> Judgement | None:
    """Trouble that its own worker tells. What is tried again has to be told at two glances: some pass at once."""
    trouble = shard.trouble
    if trouble is None or shard.waits_for or shard.renewed is False:
        return None
    error, _, fix = trouble.error.partition(_FIX)
    if trouble.stopped:
        fix = fix or "mend what it says, and deploy again; it tries by itself every few minutes, and nothing is lost"
        return Judgement(Verdict.STOPPED, error, fix, shard.trouble_seconds)
    fix = fix or "mend what it says; it goes on by itself then, and nothing is lost"
    return Judgement(Verdict.STALLED, f"it fails again and again: {error}", fix, shard.trouble_seconds)


def _standing(shard: ShardStanding, pace_seconds: float, start: str) -> Judgement:
    # guarantee: a shard that waits for its parent is no problem of its own
    if shard.waits_for or shard.unread is False:
        return _OK
    if shard.renewed is False and shard.unread is True:
        return Judgement(
            Verdict.STOPPED,
            "records wait, and no worker keeps its lease",
            f"{start}; if it runs, read its log",
            shard.waiting_seconds,
        )
    if shard.unread is None:
        why = f"it could not be looked at: {shard.unseen}" if shard.unseen else "what it has read is not known yet"
        return Judgement(Verdict.WARN, why, "look again in a moment")
    allowed = allowance(pace_seconds)
    if not shard.leased:
        verdict = Verdict.STOPPED if (shard.waiting_seconds or 0) >= allowed else Verdict.WARN
        fix = f"{start}; if it runs, read its log"
        return Judgement(verdict, "records wait, and no worker has made its lease", fix, shard.waiting_seconds)
    # An old record is no standstill while the checkpoint moves.
    # guarantee: an old checkpoint alone is no standstill
    stands = min(shard.standing_seconds or 0.0, shard.waiting_seconds or 0.0)
    if stands >= allowed:
        # A new holder begins with what the last one had: it is given the time that any consumer has.
        is_fresh = shard.held_seconds is not None and shard.held_seconds < allowed and shard.takeovers < _TAKEOVERS
        # guarantee: what stands with records unread is told after its time
        if not is_fresh:
            fix = f"read its log; end its process, and {start}"
            return Judgement(Verdict.STALLED, "records wait, and its checkpoint does not move", fix, stands)
    return _late(shard, pace_seconds) or _OK


def _late(shard: ShardStanding, pace_seconds: float) -> Judgement | None:
    """What moves, or may, with a record that has waited for longer than it should take."""
    waited = shard.waiting_seconds
    if not shard.unread or waited is None or waited < allowance(pace_seconds):
        return None
    before = shard.waiting_seconds_before
    if shard.moved and before is not None:
        if waited > before:
            fix = "give it more to read with, or more shards: `takeaway deploy --shards <number>`; look at the load"
            return Judgement(Verdict.WARN, "it moves, and falls further behind", fix, waited, worsens=True)
        return Judgement(Verdict.WARN, "it is behind, and catches up", "wait: it gets there by itself", waited)
    why = "it is behind" if shard.moved_at is not None else "it was not seen to move"
    return Judgement(Verdict.WARN, why, "look again in a minute: then it shows whether it moves", waited)
