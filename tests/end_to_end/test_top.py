"""`takeaway top --once --json` beside a flow whose notifier is frozen: how far behind it is, whose, and which order."""

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from foundation.clock import SYSTEM_CLOCK
from takeaway.local import processes
from tests.end_to_end.test_trace import CUSTOMER, ORDER, command
from tests.support.flow import Flow, frozen, until
from tests.support.tables import Tables

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
def test_a_frozen_notifier_is_named_with_its_lag_its_owner_and_the_oldest_order(flow: Flow, tables: Tables) -> None:
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
    named = consumer(told, "user_notifier")
    assert told["problems"][0].startswith(
        f"user_notifier (pid {notifier.pid}) is frozen: {1 + len(behind)} records unread"
    )
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
    tables.add("takeaway top", what="a frozen notifier named, start included", seconds=f"{seconds:.1f}")


def _with_open(told: dict[str, Any], count: int) -> dict[str, Any] | None:
    return told if sum(told["orders"].get("open", {}).get("by_state", {}).values()) == count else None
