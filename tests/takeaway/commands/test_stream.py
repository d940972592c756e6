"""lag and tail, as they are typed: on a stack where nothing runs, on a foreign table, and what they refuse."""

import json
import os
import re
import signal
import subprocess
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from consumers.settings import ConsumerSettings
from consumers.specs import readers
from events.wire import encode
from foundation import aws
from foundation.clock import SYSTEM_CLOCK, uninterrupted_wait
from foundation.settings import from_environment
from takeaway.lag import look
from takeaway.standing import own_application
from tests.support import ROOT
from tests.support.builders import an_envelope, an_order_placed
from tests.support.command_line import run_takeaway

if TYPE_CHECKING:
    from tests.conftest import LocalAws

pytestmark = pytest.mark.local_aws


def run(local_aws: "LocalAws", home: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return run_takeaway(*arguments, home=home, **local_aws.environ)


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("lag", "user_notifier", "--table", "billing"), "both consumers and --table were named"),
        (("lag", "--stream", "orders"), "--stream goes with --table"),
        (("lag", "nobody"), "nobody"),
        (("tail", "--type", "order_placd"), "no event is called order_placd"),
        (("tail", "--since", "yesterday"), "'yesterday' is no time"),
    ],
)
def test_what_is_asked_wrongly_is_refused_with_a_fix(
    local_aws: "LocalAws", tmp_path: Path, arguments: tuple[str, ...], what: str
) -> None:
    done = run(local_aws, tmp_path, *arguments)
    assert done.returncode == 2, done.stderr
    assert what in done.stderr
    assert "fix: " in done.stderr


def test_a_consumer_that_never_ran_is_stopped_where_records_wait_and_so_is_a_foreign_one(
    local_aws: "LocalAws", tmp_path: Path
) -> None:
    kinesis, stream = local_aws.client("kinesis"), f"lag-{uuid.uuid4()}"
    kinesis.create_stream(StreamName=stream, ShardCount=1)
    kinesis.get_waiter("stream_exists").wait(StreamName=stream, WaiterConfig={"Delay": 1})
    table = ("lag", "--table", f"none-{uuid.uuid4()}", "--stream", stream)
    idle = run(local_aws, tmp_path, *table)
    assert (idle.returncode, idle.stdout.splitlines()[0].split("\t")[0]) == (0, "reader"), idle.stderr
    kinesis.put_record(StreamName=stream, Data=b"{}", PartitionKey="1")
    done = run(local_aws, tmp_path, *table, "--json")
    assert done.returncode == 1, done.stderr
    told = json.loads(done.stdout)
    (reader,) = told["readers"]
    assert (told["stream"], told["ok"], reader["ran"], reader["verdict"]) == (stream, False, False, "stopped")
    (shard,) = reader["shards"]
    assert (shard["shard_id"], shard["unread"]) == ("shardId-000000000000", True)
    assert shard["fix"]
    kinesis.delete_stream(StreamName=stream)


@pytest.mark.timeout(120)
def test_followed_it_tells_each_verdict_and_ends_at_a_signal(local_aws: "LocalAws", tmp_path: Path) -> None:
    command = [sys.executable, "-m", "takeaway.cli", "lag", "-f", "--json", "--table", f"none-{uuid.uuid4()}"]
    environ = {**os.environ, **local_aws.environ, "TAKEAWAY_HOME": str(tmp_path)}
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    assert (first["before"], first["shard_id"]) == (None, "shardId-000000000000")


def test_the_streams_events_are_shown_to_its_end_and_no_customer(local_aws: "LocalAws", tmp_path: Path) -> None:
    order, placed = f"order-{uuid.uuid4()}", an_order_placed()
    local_aws.client("kinesis").put_record(
        StreamName=local_aws.environ["TAKEAWAY_STREAM"],
        Data=encode(an_envelope(placed, order_id=order)),
        PartitionKey=order,
    )
    asked = ("tail", "--once", "--since", "10m", "--order", order, "--type", "order_placed")
    plain, as_json = run(local_aws, tmp_path, *asked), run(local_aws, tmp_path, *asked, "--json")
    assert plain.stdout.split()[2:] == ["order_placed", order, placed.restaurant_id], plain.stderr
    told = json.loads(as_json.stdout)
    assert told["event"]["order_id"] == order
    assert not any(str(secret) in as_json.stdout for secret in (placed.customer_name, placed.customer_email))


def test_lag_asks_aws_for_no_more_than_its_docs_say(local_aws: "LocalAws", monkeypatch: pytest.MonkeyPatch) -> None:
    environ = local_aws.environ
    settings = from_environment(ConsumerSettings, environ)
    applications = [own_application(spec, settings, environ) for spec in readers().values()]
    asked: set[str] = set()
    made = aws.client

    def client(service: str, *arguments: Any) -> Any:
        found = made(service, *arguments)
        event = f"provide-client-params.{service}"
        found.meta.events.register(event, lambda model, **_: asked.add(f"{service}:{model.name}"))
        return found

    monkeypatch.setattr(aws, "client", client)
    look(environ, settings.stream, applications, clock=SYSTEM_CLOCK, wait=uninterrupted_wait())
    said = (ROOT / "docs" / "lag.md").read_text().partition("no more than these rights: ")[2].partition(".\n")[0]
    allowed: set[str] = set()
    service = ""
    for name in re.findall(r"`([^`]+)`", said):
        service = name.partition(":")[0] if ":" in name else service
        allowed.add(f"{service}:{name.rpartition(':')[2]}")
    assert asked <= allowed
    assert {"dynamodb:Scan", "kinesis:ListShards", "kinesis:GetRecords"} <= asked
