"""The page clicks, by the commands of their README, and their processor's promise: first printed, then passed."""

import json
import os
import re
import shlex
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest

from consumers.processing import ShardAssignment
from examples.clicks import publish
from examples.clicks.contract import STREAM, PageClicked, decode, encode
from examples.clicks.count import PageCounts
from foundation import aws
from foundation.clock import SYSTEM_CLOCK
from foundation.kinesis import Batch, Record, Sentinel, SequenceNumber
from tests.support import ROOT

README = (ROOT / "examples/clicks/README.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^\$ (python -m examples\.clicks\..*)$", README, re.MULTILINE)


def a_batch(*pages: str, first: int, millis_behind: int) -> Batch:
    clicks = [PageClicked(f"click-{page}", page, "visitor-1", SYSTEM_CLOCK.now()) for page in pages]
    records = tuple(Record(str(first + n), click.page, encode(click), 0.0) for n, click in enumerate(clicks))
    return Batch(STREAM, "shard-1", Sentinel.TRIM_HORIZON, records, millis_behind)


def test_a_click_is_the_same_after_the_wire() -> None:
    click = PageClicked("click-1", "/menu", "visitor-1", SYSTEM_CLOCK.now())
    assert decode(encode(click)) == click


def test_no_place_is_passed_before_its_clicks_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    counts = PageCounts(ShardAssignment(STREAM, "shard-1", Sentinel.TRIM_HORIZON))
    assert counts.process(a_batch("/", "/menu", first=1, millis_behind=500)).resume_after is Sentinel.TRIM_HORIZON
    assert capsys.readouterr().out == ""
    assert counts.process(a_batch("/menu", first=3, millis_behind=0)).resume_after == SequenceNumber("3")
    assert capsys.readouterr().out == "/ 1\n/menu 2\n"
    assert counts.process(a_batch("/", first=4, millis_behind=500)).resume_after == SequenceNumber("3")
    assert counts.flush().resume_after == counts.resume_after == SequenceNumber("4")
    assert capsys.readouterr().out == "/ 1\n"


def run(command: str, environ: Mapping[str, str]) -> str:
    """What it printed; it ends by itself."""
    words = [sys.executable, *shlex.split(command)[1:]]
    done = subprocess.run(words, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603
    assert done.returncode == 0, done.stderr
    return done.stdout


def counted(command: str, clicks: int, environ: Mapping[str, str], log: Path) -> Counter[str]:
    """What is printed until there are so many clicks, and by a stop then."""
    words = [sys.executable, *shlex.split(command.partition(" 2>")[0])[1:]]
    counts = Counter[str]()
    with (
        log.open("w", encoding="utf-8") as errors,
        subprocess.Popen(words, cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=errors, text=True) as process,  # noqa: S603
    ):
        # What never counts so many is ended, and then found wrong.
        too_late = threading.Timer(60, process.kill)
        too_late.start()
        assert process.stdout is not None
        for line in process.stdout:
            page, _, number = line.rpartition(" ")
            counts[page] += int(number)
            if counts.total() >= clicks:
                process.terminate()
        too_late.cancel()
    assert process.returncode == 0, log.read_text(encoding="utf-8")
    return counts


def test_without_an_endpoint_nothing_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setattr(sys, "argv", ["publish", "5"])
    monkeypatch.setattr(aws, "client", None)
    with pytest.raises(SystemExit, match=r"AWS_ENDPOINT_URL is not set\nfix: .*--real-aws"):
        publish.main()


@pytest.mark.local_aws
def test_the_commands_of_the_readme(local_aws_reached: dict[str, str], tmp_path: Path) -> None:
    first, count, second, count_on = COMMANDS
    # No stack, and no settings of ours.
    environ = {**os.environ, **local_aws_reached}
    published = run(first, environ)
    assert re.fullmatch(rf"1000 clicks acknowledged, in \d{{1,2}} Kinesis records of {STREAM}\n", published)
    counts = counted(count, 1000, environ, tmp_path / "first.log")
    assert counts.total() == 1000
    assert min(counts.values()) > 100
    # The second run goes on behind the first, past what is no click.
    kinesis = aws.client("kinesis", environ)
    kinesis.put_record(StreamName=STREAM, PartitionKey="/", Data=b"no click")
    assert run(second, environ).startswith("200 clicks acknowledged")
    more = counted(count_on, 201, environ, tmp_path / "second.log")
    assert (more.total(), more["(no click)"], more.keys() - counts.keys()) == (201, 1, {"(no click)"})
    lines = (tmp_path / "second.log").read_text(encoding="utf-8").splitlines()
    assert "WorkerStopped" in {json.loads(line)["happened"] for line in lines}
