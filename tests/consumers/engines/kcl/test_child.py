"""The child as a process: its standard output is the protocol's alone, and it neither hangs nor outlives its daemon."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.builders import a_record
from tests.support.fakes.kcl_daemon import message

pytestmark = pytest.mark.end_to_end


class Child:
    """The process, and the daemon's ends of its pipes."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.consumers.engines.kcl.child_program"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def open(self) -> None:
        self.tell("initialize", shardId="shardId-000000000000", sequenceNumber="TRIM_HORIZON", subSequenceNumber=0)
        assert self.says() == {"action": "status", "responseFor": "initialize"}

    def give(self, *data: bytes) -> None:
        records = [message(a_record(number, data=one)) for number, one in enumerate(data, start=1)]
        self.tell("processRecords", records=records, millisBehindLatest=0)

    def tell(self, action: str, **fields: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"action": action, **fields}) + "\n")
        self.process.stdin.flush()

    def says(self) -> Any:
        """The next thing on its standard output, which must be a message."""
        assert self.process.stdout is not None
        while (line := self.process.stdout.readline()) == "\n":
            pass
        return json.loads(line) if line else None

    def logs(self) -> str:
        """The next line on its standard error."""
        assert self.process.stderr is not None
        return self.process.stderr.readline()

    def logs_until(self, word: str) -> None:
        while word not in (line := self.logs()):
            assert line, f"{word} never came"

    def hang_up(self) -> int:
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait(timeout=20)


@pytest.fixture
def child() -> Iterator[Child]:
    made = Child()
    with made.process:
        yield made
        made.process.kill()


def test_nothing_but_the_protocol_reaches_the_daemon(child: Child) -> None:
    child.open()
    child.give(b"a")
    assert child.says() == {"action": "checkpoint", "sequenceNumber": "1", "subSequenceNumber": 0}
    child.tell("checkpoint", sequenceNumber="1", subSequenceNumber=0)
    assert child.says() == {"action": "status", "responseFor": "processRecords"}
    child.logs_until("from a process of its own")
    assert child.hang_up() == 0
    assert child.says() is None


def test_a_child_that_waits_for_a_broken_world_ends_with_its_daemon(child: Child) -> None:
    child.open()
    child.give(b"broken")
    child.logs_until("ShardWaits")
    assert child.hang_up() != 0
    assert child.says() is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_cuts_the_wait_short_and_the_daemon_ends_the_child(child: Child, number: signal.Signals) -> None:
    child.open()
    child.give(b"broken")
    child.logs_until("ShardWaits")
    child.process.send_signal(number)
    assert child.says() == {"action": "status", "responseFor": "processRecords"}
    child.tell("shutdownRequested")
    assert child.says() == {"action": "status", "responseFor": "shutdownRequested"}
    assert child.hang_up() == 0
