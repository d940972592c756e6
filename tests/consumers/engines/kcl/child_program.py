"""`python -m tests.consumers.engines.kcl.child_program`: a child whose processor prints and starts others."""

import subprocess
import sys

from consumers.engines.kcl.child import DaemonLine
from consumers.processing import Progress, RecordFailure, ShardAssignment
from foundation.diagnostics import json_lines
from foundation.kinesis.records import Batch, Position


class Talker:
    """Done with every record but one whose data is `broken`, which fails for ever."""

    def __init__(self, assignment: ShardAssignment) -> None:
        self.resume_after: Position = assignment.checkpoint

    def process(self, batch: Batch) -> Progress:
        print('{"action": "checkpoint", "sequenceNumber": "999", "subSequenceNumber": 0}')  # noqa: T201
        subprocess.run(["cat"], check=True)  # noqa: S607 - reads standard input to its end
        subprocess.run(["echo", "from a process of its own"], check=True)  # noqa: S607
        for record in batch.records:
            if record.data == b"broken":
                return Progress(self.resume_after, RecordFailure(record.sequence_number, OSError("down")))
            self.resume_after = record.sequence_number
        return Progress(self.resume_after)

    def flush(self) -> Progress:
        return Progress(self.resume_after)


if __name__ == "__main__":
    line = DaemonLine.taken()
    print("stray", flush=True)  # noqa: T201
    line.serve("orders", Talker, json_lines("talker", out=sys.stderr), batch_records=100, is_gone=lambda _: False)
