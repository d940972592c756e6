"""What of an overview is not as it should be, one sentence for each. Pure. The doctor says what to do about it."""

from collections.abc import Iterator
from datetime import timedelta

from takeaway.overview.facts import ConsumerFlow, Overview, Unknown
from takeaway.standing import Verdict
from takeaway.terminal import counted, roughly


def problems(overview: Overview) -> tuple[str, ...]:
    """The worst first: what does not run or stands still, what could not be asked, what is near a limit."""
    return (
        *(said for one in overview.consumers for said in _consumer(one)),
        *(
            f"{one.name} (pid {one.pid}) {one.state}"
            for one in overview.processes
            if not one.works and one.name not in {each.name for each in overview.consumers}
        ),
        *_unknown(overview),
        *_shards(overview),
    )


def seconds_in_words(seconds: float | None) -> str:
    return "?" if seconds is None else roughly(timedelta(seconds=seconds))


def _consumer(consumer: ConsumerFlow) -> Iterator[str]:
    lag = consumer.lag
    waits = ""
    if lag is not None and lag.records:
        more = " at least" if lag.at_least else ""
        waits = f": {counted(lag.records, 'record')}{more} unread"
        waits += f", the oldest for {seconds_in_words(lag.seconds)}" if lag.seconds is not None else ""
    if consumer.process is not None and not consumer.process.works:
        yield f"{consumer.name} (pid {consumer.process.pid}) {consumer.process.state}{waits}"
        return
    if consumer.trouble is not None:
        yield f"{consumer.name}: its leases could not be read: {consumer.trouble}"
        return
    worst = [one for one in consumer.shards if one.judgement.is_problem]
    if worst:
        verb = "stopped" if any(one.judgement.verdict is Verdict.STOPPED for one in worst) else "stands still"
        yield f"{consumer.name} {verb}: {worst[0].judgement.why}{waits and ';' + waits[1:]}"


def _unknown(overview: Overview) -> Iterator[str]:
    parts = {"the stream": overview.shards, "the orders": overview.orders, "the dead letters": overview.letters}
    for name, part in parts.items():
        if isinstance(part, Unknown):
            yield f"{name} could not be asked: {part.unknown}"
    if not isinstance(overview.letters, Unknown):
        silent = [one for one in overview.letters if one.trouble is not None]
        if silent:
            yield f"the dead letters of {', '.join(one.consumer for one in silent)} are not known: {silent[0].trouble}"
    if not isinstance(overview.shards, Unknown):
        unread = [one for one in overview.shards if one.trouble is not None]
        if unread:
            yield f"{counted(len(unread), 'shard')} could not be read: {unread[0].trouble}"


def _shards(overview: Overview) -> Iterator[str]:
    if isinstance(overview.shards, Unknown):
        return
    for one in overview.shards:
        if one.hot:
            yield f"{one.shard_id} is hot: {one.share or 0:.0%} of what it takes"
