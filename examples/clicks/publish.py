"""Publishes made-up clicks: `python -m examples.clicks.publish [how many] [--real-aws]`.

Makes the stream if there is none; in an account at Amazon only if it is told to.
"""

import os
import random
import sys
import uuid
from contextlib import suppress

from examples.clicks.contract import STREAM, PageClicked, encode, partition_key
from foundation import aws
from foundation.clock import SYSTEM_CLOCK, uninterrupted_wait
from foundation.diagnostics import json_lines
from producers.publishing import Publication, RecordPublisher

PAGES = ("/", "/menu", "/menu/pizza", "/basket", "/about")
SHARDS = 2


def main() -> None:
    if "AWS_ENDPOINT_URL" not in os.environ and "--real-aws" not in sys.argv:
        sys.exit(
            'error: AWS_ENDPOINT_URL is not set\nfix: eval "$(takeaway env)"; or --real-aws, if you mean your account'
        )
    clicks = int(next((word for word in sys.argv[1:] if word.isdigit()), "1000"))
    kinesis = aws.client("kinesis", os.environ)
    with suppress(kinesis.exceptions.ResourceInUseException):  # it is there already
        kinesis.create_stream(StreamName=STREAM, ShardCount=SHARDS)
    kinesis.get_waiter("stream_exists").wait(StreamName=STREAM)
    wait, emit = uninterrupted_wait(), json_lines("clicks")
    with RecordPublisher(kinesis, STREAM, clock=SYSTEM_CLOCK, wait=wait, emit=emit) as publisher:
        published = [_publication(_click()) for _ in range(clicks)]
        publisher.put(published)
        places = {(answer.shard_id, answer.sequence_number) for answer in (one.result() for one in published)}
    print(f"{clicks} clicks acknowledged, in {len(places)} Kinesis records of {STREAM}")


def _click() -> PageClicked:
    visitor = f"visitor-{random.randrange(100):02}"
    return PageClicked(str(uuid.uuid4()), random.choice(PAGES), visitor, SYSTEM_CLOCK.now())


def _publication(click: PageClicked) -> Publication:
    return Publication(partition_key(click), encode(click), f"click {click.click_id}")


if __name__ == "__main__":
    main()
