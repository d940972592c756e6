"""What is wrong with the consumers of a checkup: from the verdicts on their shards, a problem for each cause. Pure."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

from takeaway.doctor.facts import Checkup, Consumer, Problem, Process, Section
from takeaway.standing import Judgement, ShardStanding, Verdict
from takeaway.terminal import roughly

# A process that has only just started has no leases yet.
_START_SECONDS = 30.0
_SHARDS_NAMED = 3
_VERBS = {Verdict.STALLED: "stands still", Verdict.STOPPED: "is stopped", Verdict.WARN: "is late"}


def consumer_problems(checkup: Checkup) -> Iterator[Problem]:
    return (problem for one in _told_by_themselves(checkup) for problem in _consumer(one, checkup))


def consumer_warnings(checkup: Checkup) -> Iterator[Problem]:
    return (
        Problem(Section.CONSUMERS, f"{one.name} {_on(shards)}: {_lasting(judgement)}", judgement.fix)
        for one in _told_by_themselves(checkup)
        for judgement, shards in _by_judgement(one)
        if judgement.verdict is Verdict.WARN and not judgement.is_problem
    )


def troubled(checkup: Checkup) -> frozenset[str]:
    """The consumers and processes of which a problem is told."""
    still = {one.name for one in checkup.processes if not one.works}
    return frozenset(still | {one.name for one in _told_by_themselves(checkup) if any(_consumer(one, checkup))})


def _told_by_themselves(checkup: Checkup) -> Iterator[Consumer]:
    """Those whose trouble does not follow from what their process on this machine is in."""
    told = {one.name for one in checkup.processes if not one.works}
    return (one for one in checkup.consumers if one.name not in told)


def _consumer(consumer: Consumer, checkup: Checkup) -> Iterator[Problem]:
    if consumer.trouble is not None:
        what = f"{consumer.name}: its leases in {consumer.lease_table} could not be read: {consumer.trouble}"
        if consumer.logged is not None:
            what += f"; its own log says so too, since {consumer.logged.since:%H:%M:%S} UTC: {consumer.logged.error}"
        fix = "allow this identity to scan the table and to read the stream, or look again"
        yield Problem(Section.CONSUMERS, what, fix)
        return
    open_shards = [shard for shard in consumer.shards if not shard.finished]
    process = next((one for one in checkup.processes if one.name == consumer.name and one.up), None)
    if process is not None and not consumer.reads and (silent := _silent(consumer, process, open_shards)):
        yield silent
        return
    if not consumer.ran:
        waiting = [shard.shard_id for shard in open_shards if shard.unread]
        if waiting:
            what = f"{consumer.name} never ran, and records wait for it on {', '.join(waiting)}"
            yield Problem(Section.CONSUMERS, what, consumer.start)
        return
    for judgement, shards in _by_judgement(consumer):
        if judgement.is_problem:
            what = f"{consumer.name} {_VERBS[judgement.verdict]} {_on(shards)}: {_lasting(judgement)}"
            yield Problem(Section.CONSUMERS, what, judgement.fix)


def _silent(consumer: Consumer, process: Process, shards: Sequence[ShardStanding]) -> Problem | None:
    """A process that lives, and does not look after its leases."""
    fix = f"mend what it says; then read {process.log}"
    if consumer.logged is not None:
        since = f"since {consumer.logged.since:%H:%M:%S} UTC"
        what = f"{consumer.name} cannot look after its leases in {consumer.lease_table}, {since}: "
        return Problem(Section.CONSUMERS, f"{what}{consumer.logged.error}", fix)
    kept = [shard for shard in shards if shard.renewed is not False]
    if shards and not kept and process.up_seconds > _START_SECONDS:
        what = f"{consumer.name} is up, process {process.pid}, and keeps none of its leases alive"
        fix = f"read {process.log}; `takeaway down` and `takeaway up` start it anew"
        return Problem(Section.CONSUMERS, what, fix)
    return None


def _by_judgement(consumer: Consumer) -> list[tuple[Judgement, list[str]]]:
    """Shards that are in the same state for the same reason, with what is said of the one that is in it for longest."""
    found: dict[tuple[Verdict, str], tuple[Judgement, list[str]]] = {}
    for shard in consumer.shards:
        judgement = consumer.judged(shard)
        longest, shards = found.get((judgement.verdict, judgement.why), (judgement, []))
        longest = max(longest, judgement, key=lambda one: one.seconds or 0)
        found[judgement.verdict, judgement.why] = longest, [*shards, shard.shard_id]
    return list(found.values())


def _on(shards: Sequence[str]) -> str:
    return f"on {', '.join(shards[:_SHARDS_NAMED])}" + (
        f" and {len(shards) - _SHARDS_NAMED} more" if len(shards) > _SHARDS_NAMED else ""
    )


def _lasting(judgement: Judgement) -> str:
    lasts = "" if judgement.seconds is None else f" (for {roughly(timedelta(seconds=judgement.seconds))})"
    return f"{judgement.why}{lasts}"
