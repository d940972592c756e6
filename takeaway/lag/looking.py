"""One look at the readers of a stream: all of them are asked at once, and one that cannot be seen hides no other."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial

from foundation import aws
from foundation.clock import Clock, Wait
from takeaway.doctor import back_end
from takeaway.errors import UserError
from takeaway.lag.facts import ReaderLag, ShardLag
from takeaway.stack import Asked, Unanswered
from takeaway.standing import LOOK_SECONDS, Application, Collector, SeenReader, judged


def look(
    environ: Mapping[str, str], stream: str, applications: Sequence[Application], *, clock: Clock, wait: Wait
) -> tuple[ReaderLag, ...]:
    """Takes some five seconds, or a minute where one of them is looked at for so long. Raises `UserError`."""
    there = back_end(environ, clock)
    if there.trouble is not None:
        raise UserError(
            f"{there.endpoint} does not answer: {there.trouble}", "is it up? `takeaway doctor` says what is wrong"
        )
    now = clock.now() - timedelta(seconds=there.clock_ahead_seconds or 0)
    kinesis, dynamodb = aws.client("kinesis", environ), aws.client("dynamodb", environ)
    asked = []
    for application in applications:
        collector = Collector(kinesis, dynamodb, stream, now, clock, wait)
        seconds = LOOK_SECONDS + application.reader.look_seconds
        asked.append(Asked(partial(collector.look, application.reader), seconds, clock))
    return tuple(_lag(one, question.answer()) for one, question in zip(applications, asked, strict=True))


def _lag(application: Application, answer: SeenReader | Unanswered) -> ReaderLag:
    reader = application.reader
    if isinstance(answer, Unanswered):
        return ReaderLag(reader.name, reader.lease_table, trouble=answer.reason)
    shards = tuple(
        ShardLag(standing, judged(standing, application.pace_seconds, start=application.start))
        for standing in answer.shards
    )
    return ReaderLag(reader.name, reader.lease_table, ran=answer.ran, shards=shards)
