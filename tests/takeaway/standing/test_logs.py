"""What the end of a log tells of a consumer's lease table."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from takeaway.standing.logs import logged_trouble
from tests.support.builders import NOON


def line(seconds: float, happened: str, **fields: object) -> str:
    return json.dumps({"at": (NOON + timedelta(seconds=seconds)).isoformat(), "happened": happened, **fields})


def failed(seconds: float, error: str = "ClientError: refused") -> str:
    return line(seconds, "RoundFailed", error=error, retry_in_seconds=5)


@pytest.mark.parametrize(
    ("lines", "since"),
    [
        ([], None),
        ([line(0, "ShardStarted")], None),
        ([failed(0)], None),
        ([failed(50)], 50),
        ([failed(50), failed(55), line(56, "LeaseRenewalFailed", error="ClientError: refused")], 50),
        # An hour ago it failed as well, and it was over.
        ([failed(-3600), failed(50)], 50),
        ([failed(30), line(40, "ShardStarted"), failed(50)], 30),
        # The last line is torn, as on a full disk.
        ([failed(50), '{"at": "2026'], 50),
        ([failed(50), "Traceback (most recent call last):", "[1]", '{"at": 1}'], 50),
    ],
)
def test_trouble_that_lasts_is_told_since_it_began(tmp_path: Path, lines: list[str], since: float | None) -> None:
    log = tmp_path / "archiver.log"
    log.write_text("\n".join(lines))
    told = logged_trouble(log, NOON + timedelta(seconds=60))
    assert (told.since if told else None) == (None if since is None else NOON + timedelta(seconds=since))


def test_it_is_told_in_its_last_words_however_long_the_log(tmp_path: Path) -> None:
    log = tmp_path / "archiver.log"
    log.write_text("\n".join([line(0, "ShardStarted")] * 20_000 + [failed(40, "first"), failed(50, "last")]))
    told = logged_trouble(log, NOON + timedelta(seconds=60))
    assert told is not None
    assert told.error == "last"


def test_without_a_log_there_is_nothing_to_tell(tmp_path: Path) -> None:
    assert logged_trouble(tmp_path / "none.log", NOON) is None
    assert logged_trouble(tmp_path, NOON) is None
