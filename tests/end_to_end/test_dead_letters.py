"""A poison record inside an aggregate: set apart by real consumers, found, shown, redriven once its cause has gone."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from events.envelope import EventEnvelope
from events.orders import Event
from events.wire import decode, encode
from foundation.aws import client
from takeaway.audit.effects import ticket_effects
from takeaway.audit.evidence import stream_facts
from takeaway.audit.lake import lake_evidence
from tests.support import ROOT
from tests.support.builders import an_envelope, packed
from tests.support.flow import Flow, until

pytestmark = pytest.mark.end_to_end

# A later deployment: it knows what the one before could not read.
FIXED = """
import msgspec
from events import wire
from events.orders import OrderPlaced
from takeaway.cli import main

class Lenient:
    def decode(self, data):
        return msgspec.json.decode(data.replace(b"euro", b"EUR"), type=OrderPlaced)

wire._event_decoders["order_placed", 1] = Lenient()
main()
"""
ORDERS = ("order-1", "order-2", "order-3")


@pytest.fixture
def flow(flow: Flow, tmp_path: Path) -> Flow:
    (tmp_path / "fixed_takeaway.py").write_text(FIXED)
    return flow


def dlq(flow: Flow, *arguments: str, module: str = "takeaway.cli") -> "subprocess.Popen[str]":
    return subprocess.Popen(  # noqa: S603 - our own arguments
        [sys.executable, "-m", module, "dlq", *arguments],
        cwd=flow.home,
        env={**flow.environ, "PYTHONPATH": os.pathsep.join((str(flow.home), str(ROOT))), "NO_COLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def answered(flow: Flow, *arguments: str, module: str = "takeaway.cli", code: int = 0) -> str:
    running = dlq(flow, *arguments, module=module)
    out, err = running.communicate(timeout=60)
    assert running.returncode == code, out + err
    return out


def told(flow: Flow, *arguments: str, **how: Any) -> Any:
    return json.loads(answered(flow, *arguments, "--json", **how))


def test_a_poison_record_is_found_shown_and_redriven_after_the_fix(flow: Flow) -> None:
    placed = [an_envelope(order_id=order, cause=f"key-of-{order}") for order in ORDERS]
    put_with_poison_in_the_middle(flow, placed)
    for consumer in ("restaurant_notifier", "archiver"):
        flow.start_consumer(consumer)

    both = ["archiver", "restaurant_notifier"]
    (row,) = until(lambda: (rows := told(flow, "ls")) and rows[0]["consumers"] == both and rows, every=1)
    assert row["key"].endswith("-1")
    assert (row["attempts"], row["event_type"]) == (1, "order_placed")
    (group,) = told(flow, "ls", "--group-by", "error")
    assert (group["records"], group["consumers"], group["example"]) == (1, both, row["key"])
    assert row["stack_hash"] == group["stack_hash"]

    # Dropped, nobody misses it, and it comes back.
    assert told(flow, "drop", row["key"], "--reason", "a test")["counts"] == {"dropped": 2}
    assert told(flow, "ls") == []
    assert told(flow, "ls", "--dropped")[0]["reason"] == "a test"
    until(lambda: verified(flow)["counts"]["retained_waiting"] == 0, every=1)
    assert verified(flow)["counts"]["retained_set_apart"] == 1
    assert told(flow, "restore", row["key"])["counts"] == {"restored": 2}

    shown = answered(flow, "show", "restaurant_notifier/")
    assert "`$.currency`" in shown
    assert '"order_id": "order-2"' in shown
    assert "Lovelace" not in shown
    assert "Ada Lovelace" in answered(flow, "show", row["key"], "--raw")

    until(lambda: len(tickets(flow)) == 2, every=0.5)
    until(lambda: len(lake_evidence(flow.environ).rows) >= 2, every=0.5)

    # Redriven by the deployment that failed, it fails again and stays.
    still = told(flow, "redrive", "--consumer", "restaurant_notifier", code=1)
    assert still["counts"] == {"failed again": 1}
    assert told(flow, "ls", "--consumer", "restaurant_notifier")[0]["attempts"] == 2

    before = told(flow, "redrive", "--dry-run", module="fixed_takeaway")
    assert {(one["reads"], one["done_before"], one["canary"]) for one in before} == {("order_placed", False, True)}
    assert told(flow, "ls")[0]["consumers"] == both

    # Two at once, while the consumers run on.
    for one in [dlq(flow, "redrive", module="fixed_takeaway") for _ in range(2)]:
        out, err = one.communicate(timeout=60)
        assert one.returncode in {0, 1, 2}, out + err
        assert "Traceback" not in err
    until(lambda: told(flow, "ls") == [], every=1)

    assert Counter(tickets(flow)) == Counter({envelope.event_id: 1 for envelope in placed})
    in_lake = Counter(fact.order_id for fact in lake_evidence(flow.environ).rows if fact.event_type == "order_placed")
    assert in_lake == Counter(ORDERS)
    # Nobody else heard it: the stream has what was put there, and what the notifier told about each order once.
    facts, unreadable = stream_facts(flow.environ)
    assert len(unreadable) == 1
    assert Counter((fact.event_type, fact.order_id) for fact in facts) == Counter(
        [("restaurant_notified", order) for order in ORDERS] + [("order_placed", order) for order in ORDERS[::2]]
    )
    assert [flow.stop(consumer) for consumer in ("restaurant_notifier", "archiver")] == [0, 0]
    assert answered(flow, "ls") == "no dead letters\n"


def put_with_poison_in_the_middle(flow: Flow, placed: list[EventEnvelope[Event]]) -> None:
    first, middle, last = (encode(envelope) for envelope in placed)
    poison = json.dumps(json.loads(middle) | {"currency": "euro"}).encode()
    assert decode(first).order_id == "order-1"
    client("kinesis", flow.environ).put_record(
        StreamName=flow.environ["TAKEAWAY_STREAM"],
        PartitionKey="order-1",
        Data=packed((first, poison, last), key="order-1"),
    )


def verified(flow: Flow) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "takeaway.cli", "lake", "verify", "--against-stream", "--json"],
        cwd=flow.home,
        env=flow.environ,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def tickets(flow: Flow) -> list[str]:
    return [effect.event_id for effect in ticket_effects(flow.environ)]
