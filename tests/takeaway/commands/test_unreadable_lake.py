"""A lake that cannot be read is told by every command with its cause and a fix, in two lines and no traceback."""

import json
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable

from analytics.archiving.sink import LakeSink
from analytics.table.layout import DATA_PREFIX, LOG_PREFIX
from analytics.table.log import DeltaLog
from events.wire import encode
from foundation.aws import storage_options
from foundation.bucket import Bucket
from foundation.clock import SYSTEM_CLOCK
from takeaway import cli
from tests.support.builders import an_envelope
from tests.support.worlds.lake_world import KEYS, NEVER, SHARD, feed

pytestmark = pytest.mark.local_aws

COMMANDS = [
    ("lake", "sql", "select count(*) n, sum(total) from events"),
    ("lake", "files"),
    ("lake", "ls"),
    ("lake", "compact"),
    ("lake", "vacuum"),
    ("lake", "keep", "--once"),
    ("lake", "verify"),
    ("lake", "forget", "customer-1", "--yes"),
    ("lake", "backfill", "HISTORY"),
    ("flow", "show", "--mined"),
    ("flow", "check"),
    ("report", "--out", "REPORT", "--ledger", "nowhere"),
]
COMMIT = f"{LOG_PREFIX}{2:020d}.json"
HINT = f"{LOG_PREFIX}_last_checkpoint"


class Damaged:
    """A lake of three commits and a checkpoint."""

    def __init__(self, local_aws: Any) -> None:
        self.s3 = local_aws.client("s3")
        self.name = f"lake-{uuid.uuid4()}"
        self.s3.create_bucket(Bucket=self.name)
        self.environ = {**local_aws.environ, "TAKEAWAY_LAKE_BUCKET": self.name}
        options = storage_options(self.environ)
        log = DeltaLog(f"s3://{self.name}/events", options, SYSTEM_CLOCK)
        sink = LakeSink("orders", Bucket(self.s3, self.name), log, NEVER, SYSTEM_CLOCK, lambda _: None, keys=KEYS)
        shard = sink.open(SHARD)
        for number in (1, 2, 3):
            feed(shard, [number])
            shard.flush()
        self._table = DeltaTable(f"s3://{self.name}/events", storage_options=options)

    def checkpoint(self) -> None:
        self._table.create_checkpoint()

    def keys(self, prefix: str) -> list[str]:
        return [entry["Key"] for entry in self.s3.list_objects_v2(Bucket=self.name, Prefix=prefix).get("Contents", [])]

    def body(self, key: str) -> bytes:
        body: bytes = self.s3.get_object(Bucket=self.name, Key=key)["Body"].read()
        return body

    def put(self, key: str, body: bytes) -> None:
        self.s3.put_object(Bucket=self.name, Key=key, Body=body)

    def delete(self, *keys: str) -> None:
        for key in keys:
            self.s3.delete_object(Bucket=self.name, Key=key)


def hint_without_a_checkpoint(lake: Damaged) -> None:
    lake.put(HINT, b'{"version":9999,"size":1}')


def torn_checkpoint(lake: Damaged) -> None:
    lake.checkpoint()
    (key,) = [key for key in lake.keys(LOG_PREFIX) if key.endswith(".parquet")]
    lake.put(key, lake.body(key)[:-20])


def torn_commit(lake: Damaged) -> None:
    lake.put(COMMIT, lake.body(COMMIT)[:50])


def no_json(lake: Damaged) -> None:
    lake.put(COMMIT, b"\xff\x00<html>")


def a_hole(lake: Damaged) -> None:
    lake.delete(COMMIT)


def a_newer_protocol(lake: Damaged) -> None:
    first = f"{LOG_PREFIX}{0:020d}.json"
    lines = [json.loads(line) for line in lake.body(first).splitlines()]
    for line in lines:
        if "protocol" in line:
            line["protocol"] = {"minReaderVersion": 9, "minWriterVersion": 9}
    lake.put(first, "\n".join(map(json.dumps, lines)).encode())


def no_log(lake: Damaged) -> None:
    lake.delete(*lake.keys(LOG_PREFIX))


def no_files(lake: Damaged) -> None:
    lake.delete(*lake.keys(DATA_PREFIX))


def torn_files(lake: Damaged) -> None:
    for key in lake.keys(DATA_PREFIX):
        lake.put(key, lake.body(key)[:-30])


LOG = "cannot read the log of the lake in bucket "
FILES = "cannot read a file of the lake in bucket "
OF_THE_LOG = [
    (hint_without_a_checkpoint, LOG, "_last_checkpoint hint", "/events/_delta_log/ back"),
    (torn_checkpoint, LOG, "Corrupt footer", "/events/_delta_log/ back"),
    (torn_commit, LOG, "Json error", "/events/_delta_log/ back"),
    (no_json, LOG, "Json error", "/events/_delta_log/ back"),
    (a_hole, LOG, "contiguous", "/events/_delta_log/ back"),
    (a_newer_protocol, LOG, "reader version 9", "run the release"),
    (no_log, "the log of the lake in bucket ", "is gone", "stop the archivers"),
]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    (tmp_path / "history.jsonl").write_bytes(encode(an_envelope()))
    names = {"HISTORY": str(tmp_path / "history.jsonl"), "REPORT": str(tmp_path / "report.html")}
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def run(lake: Damaged, *command: str) -> tuple[int, str]:
        for name, value in lake.environ.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["takeaway", *(names.get(word, word) for word in command)])
        with pytest.raises(SystemExit) as ended:
            cli.run()
        told = capsys.readouterr()
        return int(ended.value.code or 0), told.out + told.err

    return run


@pytest.mark.parametrize(
    ("damage", "what", "cause", "fix"), OF_THE_LOG, ids=lambda value: getattr(value, "__name__", None)
)
def test_every_command_tells_what_is_wrong_with_the_log(
    local_aws: Any, run: Callable[..., Any], damage: Callable[[Damaged], None], what: str, cause: str, fix: str
) -> None:
    lake = Damaged(local_aws)
    damage(lake)
    for command in COMMANDS:
        code, told = run(lake, *command)
        if command[1] == "verify":
            assert code == 1, told
            assert "log-" in told, told
        else:
            assert_told(lake, code, told, what, cause, fix)
        assert "Traceback" not in told


@pytest.mark.parametrize("damage", [no_files, torn_files], ids=lambda value: value.__name__)
def test_commands_that_open_files_tell_which_cannot_be_read(
    local_aws: Any, run: Callable[..., Any], damage: Callable[[Damaged], None]
) -> None:
    lake = Damaged(local_aws)
    damage(lake)
    for command in (COMMANDS[0], COMMANDS[2], *COMMANDS[-3:]):
        code, told = run(lake, *command)
        assert_told(lake, code, told, FILES, "event_date=2026-03-14", "`takeaway lake verify` names each")
    code, told = run(lake, "lake", "compact", "--day", "2026-03-14")
    assert code == 2
    assert "event_date=2026-03-14" in told
    assert "\nfix: " in told
    code, told = run(lake, "lake", "verify")
    assert (code, told.count("-object: event_date=")) == (1, 3)


def assert_told(lake: Damaged, code: int, told: str, what: str, cause: str, fix: str) -> None:
    lines = told.strip().splitlines()
    assert code == 2, told
    assert lines[-2].startswith(f"error: {what}'{lake.name}'"), told
    assert cause in lines[-2], told
    assert lines[-1].startswith("fix: "), told
    assert fix in lines[-1], told
