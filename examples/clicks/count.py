"""Counts clicks by page until SIGTERM or Ctrl-C: `python -m examples.clicks.count`. As many at once as you like."""

import os
import signal
import threading
from collections import Counter

import msgspec

from consumers.engines.worker.settings import WorkerSettings
from consumers.engines.worker.worker import Worker
from consumers.processing import Progress, ShardAssignment
from examples.clicks.contract import STREAM, decode
from foundation import aws
from foundation.clock import SYSTEM_CLOCK
from foundation.diagnostics import json_lines
from foundation.kinesis import Batch, Position, Sentinel


class PageCounts:
    """Processes one shard: counts what comes, and prints what it has counted at the tip, and when the shard is let go.

    The printed line is the effect here, so it comes first, and the place to resume after follows it.
    """

    def __init__(self, assignment: ShardAssignment) -> None:
        self.resume_after: Position = assignment.checkpoint
        self._read_up_to: Position = assignment.checkpoint
        self._counts = Counter[str]()

    def process(self, batch: Batch) -> Progress:
        for record in batch.records:
            self._counts[_page(record.data)] += 1
            self._read_up_to = record.sequence_number
        return self.flush() if batch.millis_behind_latest == 0 else Progress(self.resume_after)

    def flush(self) -> Progress:
        for page, clicks in sorted(self._counts.items()):
            print(f"{page} {clicks}", flush=True)
        self._counts.clear()
        self.resume_after = self._read_up_to
        return Progress(self.resume_after)


def main() -> None:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    Worker(
        WorkerSettings(application="page-counts", stream=STREAM, start=Sentinel.TRIM_HORIZON),
        kinesis=aws.client("kinesis", os.environ),
        dynamodb=aws.client("dynamodb", os.environ),
        factory=PageCounts,
        clock=SYSTEM_CLOCK,
        emit=json_lines("page-counts"),
    ).run(stop)


def _page(data: bytes) -> str:
    """Bytes that are no click are counted too: an exception would hold up the shard for good."""
    try:
        return decode(data).page
    except msgspec.MsgspecError:
        return "(no click)"


if __name__ == "__main__":
    main()
