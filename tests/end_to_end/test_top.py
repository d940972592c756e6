"""`takeaway top --once --json` beside a flow whose notifier is frozen: how far behind it is, whose, and which order."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from foundation import aws
from foundation.clock import SYSTEM_CLOCK, uninterrupted_wait
from producers.tracking import TrackedOrders
from takeaway.local import processes
from takeaway.overview import Gatherer, Unknown
from tests.end_to_end.test_trace import CUSTOMER, ORDER, command
from tests.support import ROOT
from tests.support.flow import Flow, frozen, until
from tests.support.tables import Tables
from tests.support.terminal import ALTERNATE, CTRL_C, at_a_terminal

pytestmark = pytest.mark.end_to_end


def top(flow: Flow, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(  # noqa: S603 - our own arguments
        [sys.executable, "-m", "takeaway.cli", "top", "--once", "--seconds", "30", *arguments],
        env={**flow.environ, "NO_COLOR": "1", "COLUMNS": "80"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def facts(flow: Flow) -> dict[str, Any]:
    done = top(flow, "--json")
    assert done.returncode in {0, 1}, done.stderr
    assert not any(secret in done.stdout for secret in CUSTOMER.values())
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def consumer(told: dict[str, Any], name: str) -> dict[str, Any]:
    return next(one for one in told["consumers"] if one["name"] == name)


def lag_of(flow: Flow, name: str) -> Callable[[], dict[str, Any] | None]:
    def caught_up() -> dict[str, Any] | None:
        told = facts(flow)
        lag = consumer(told, name)["lag"]
        return told if lag and not lag["records"] and not lag["at_least"] else None

    return caught_up


@pytest.mark.timeout(300)
def test_a_frozen_notifier_is_named_with_its_lag_its_owner_and_the_oldest_order(
    flow: Flow, tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow.start_api()
    notifier = flow.start_consumer("user_notifier")
    flow.start_consumer("archiver")
    processes.save_services(flow.home / "services.json", flow.running.values())
    accepted = [command(flow, "", ORDER, "customer-1", "customer")["order_id"]]
    until(lag_of(flow, "user_notifier"), within=90)
    with frozen(notifier):
        for order_id in accepted:
            command(flow, f"/{order_id}/accept", {"ready_in_minutes": 20}, "restaurant-1", "restaurant")
        behind = [command(flow, "", ORDER, "customer-1", "customer")["order_id"] for _ in range(5)]
        started = SYSTEM_CLOCK.monotonic()
        told = facts(flow)
        seconds = SYSTEM_CLOCK.monotonic() - started
        screen = top(flow)
        lag = subprocess.run(
            [sys.executable, "-m", "takeaway.cli", "lag", "user_notifier", "archiver", "--json"],
            env=flow.environ,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
    assert lag.returncode == 1, lag.stderr
    assert {one["name"]: one["verdict"] for one in json.loads(lag.stdout)["readers"]} == {
        "user_notifier": "stopped",
        "archiver": "ok",
    }
    named = consumer(told, "user_notifier")
    said = f"user_notifier (pid {notifier.pid}) is frozen: {1 + len(behind)} records unread"
    assert any(one.startswith(said) for one in told["problems"]), told["problems"]
    assert (named["lag"]["records"], named["lag"]["at_least"]) == (1 + len(behind), False)
    # It listens to no placing: what waits for it is the first order.
    assert named["lag"]["oldest"]["order_id"] == accepted[0]
    assert named["lag"]["oldest"]["event_type"] == "order_accepted"
    assert named["process"] == {"pid": notifier.pid, "up": True, "frozen": True, "log": notifier.log}
    assert len(named["owners"]) == 1
    assert screen.returncode == 1
    assert f"user_notifier (pid {notifier.pid}) is frozen" in screen.stdout
    assert max(map(len, screen.stdout.splitlines())) <= 80
    found = until(lambda: _with_open(facts(flow), 6), within=90)
    assert set(found["orders"]["open"]["oldest"]) <= {"placed", "accepted"}
    assert asked_of_aws(flow, monkeypatch, behind[0]) == allowed()
    for end in (CTRL_C, "q", signal.SIGTERM):
        it_ends_at_once_and_leaves_the_terminal_as_it_was(flow, end)
    tables.add("takeaway top", what="a frozen notifier named, start included", seconds=f"{seconds:.1f}")


def _with_open(told: dict[str, Any], count: int) -> dict[str, Any] | None:
    return told if sum(told["orders"].get("open", {}).get("by_state", {}).values()) == count else None


def allowed() -> set[tuple[str, str]]:
    """Each action and what it is allowed on, by the policy in docs/top.md."""
    policy = json.loads((ROOT / "docs" / "top.md").read_text().partition("```json\n")[2].partition("```")[0])
    return {
        (action, resource)
        for statement in policy["Statement"]
        for action in statement["Action"]
        for resource in statement["Resource"]
    }


def asked_of_aws(flow: Flow, monkeypatch: pytest.MonkeyPatch, order_id: str) -> set[tuple[str, str]]:
    """What the operations page has AWS do for its looks and for an order's journey, where there is a letter."""
    bucket = flow.environ["TAKEAWAY_DEAD_LETTER_BUCKET"]
    aws.client("s3", flow.environ).put_object(Bucket=bucket, Key="archiver/orders/shardId-000000000000/1-0.json")
    asked: set[tuple[str, str]] = set()
    made = aws.client

    def client(service: str, *arguments: Any) -> Any:
        found = made(service, *arguments)

        def note(params: dict[str, Any], model: Any, **_: Any) -> None:
            asked.update(permissions(service, model.name, params))

        found.meta.events.register(f"provide-client-params.{service}", note)
        return found

    with monkeypatch.context() as patched:
        patched.setattr(aws, "client", client)
        gatherer = Gatherer(flow.environ, flow.home, clock=SYSTEM_CLOCK, wait=uninterrupted_wait(), within=60)
        for _ in range(2):
            looked = gatherer.look()
        tracker = flow.environ["TAKEAWAY_TRACKER_TABLE"]
        dynamodb = aws.client("dynamodb", flow.environ)
        assert TrackedOrders(dynamodb, tracker, speed=1, wait=uninterrupted_wait()).get(order_id)
    assert not isinstance(looked.letters, Unknown)
    assert {one.consumer: one.count for one in looked.letters}["archiver"] == 1
    return asked


def permissions(service: str, operation: str, params: dict[str, Any]) -> set[tuple[str, str]]:
    """The action of IAM and the resources that a call needs, written as in docs/top.md."""
    if service == "s3":
        bucket = params["Bucket"].replace("000000000000-us-east-1", "ACCOUNT-REGION")
        whole = operation == "ListObjectsV2"
        return {(f"s3:{'ListBucket' if whole else operation}", f"arn:aws:s3:::{bucket}{'' if whole else '/*'}")}
    action, arn = f"{service}:{operation}", f"arn:aws:{service}:REGION:ACCOUNT"
    if service == "kinesis":
        # With an iterator the stream goes without saying.
        return {(action, f"{arn}:stream/{params.get('StreamName', 'takeaway-orders')}")}
    index = f"/index/{params['IndexName']}" if "IndexName" in params else ""
    tables = params.get("RequestItems") or [params["TableName"]]
    return {(action, f"{arn}:table/{table}{index}") for table in tables}


def it_ends_at_once_and_leaves_the_terminal_as_it_was(flow: Flow, end: str | signal.Signals) -> None:
    with at_a_terminal("top", variables=flow.environ) as terminal:
        terminal.until("open orders")
        assert ALTERNATE in terminal.written
        if isinstance(end, str):
            terminal.press(end)
        else:
            terminal.process.send_signal(end)
        assert terminal.ended() == 0
        assert terminal.is_as_before(), terminal.written[-500:]
        assert ("the stack goes on as it was" in terminal.written) == (end != "q")
