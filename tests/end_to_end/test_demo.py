"""`takeaway demo` and `takeaway up` as a newcomer uses them, and what they leave behind: nothing."""

import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import psutil
import pytest

from producers.load.ledger import read_ledger
from takeaway import processes
from takeaway.local_aws import free_port
from tests.end_to_end.conftest import Takeaway

pytestmark = pytest.mark.end_to_end

CONSUMERS = {"restaurant_notifier", "user_notifier", "archiver"}


def our_processes(home: Path) -> list[psutil.Process]:
    """Every live process that was started with this home folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("TAKEAWAY_HOME") == str(home) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.AccessDenied, psutil.NoSuchProcess):
            continue
    return found


def bash(script: str) -> str:
    return subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout  # noqa: S603, S607


@pytest.mark.timeout(240)
def test_the_demo_proves_its_flow_and_leaves_nothing_behind(takeaway: Takeaway, tmp_path: Path) -> None:
    done = takeaway("demo", "--orders", "30", "--rate", "30", "--speed", "1000", "--seed", "5")
    assert done.returncode == 0, done.stdout + done.stderr
    receipt = r"30 orders · \d+ events · 0 lost · 0 doubled · 0 repeated events · 0 bad events quarantined"
    assert re.search(receipt + " · 0 repeated effects", done.stdout)
    started = dict(re.findall(r"(\w+) \(pid (\d+)\)", done.stdout))
    assert started.keys() >= CONSUMERS
    assert len(set(started.values())) == len(started)
    report = Path(re.findall(r"report: (\S+)", done.stdout)[0])
    assert "30 orders" in report.read_text()
    assert our_processes(tmp_path / ".takeaway") == []


@pytest.mark.timeout(240)
def test_ctrl_c_in_the_middle_ends_in_order_and_loses_nothing(tmp_path: Path) -> None:
    home = tmp_path / ".takeaway"
    with subprocess.Popen(
        [sys.executable, "-m", "takeaway.cli", "demo", "--orders", "5000", "--rate", "30", "--seed", "5"],
        cwd=tmp_path,
        env={**os.environ, "TAKEAWAY_HOME": str(home), "NO_COLOR": "1", "COLUMNS": "200"},
        stdout=subprocess.PIPE,
        text=True,
    ) as demo:
        assert demo.stdout is not None
        for line in demo.stdout:
            if re.search(r"order_accepted=[1-9]", line):
                break
        demo.send_signal(signal.SIGINT)
        printed = demo.stdout.read()
        assert demo.wait(90) == 0, printed
    assert re.search(r"[1-9]\d* orders · .* 0 lost · 0 doubled", printed), printed
    assert our_processes(home) == []


def test_a_killed_demo_takes_its_processes_with_it(tmp_path: Path) -> None:
    home = tmp_path / ".takeaway"
    with subprocess.Popen(
        [sys.executable, "-m", "takeaway.cli", "demo", "--orders", "5000"],
        cwd=tmp_path,
        env={**os.environ, "TAKEAWAY_HOME": str(home)},
        stdout=subprocess.PIPE,
        text=True,
    ) as demo:
        assert demo.stdout is not None
        assert any("started:" in line for line in demo.stdout)
        demo.kill()
    gone, alive = psutil.wait_procs(our_processes(home), timeout=40)
    assert alive == []
    assert len(gone) >= len(CONSUMERS)


@pytest.mark.timeout(480)
def test_up_a_curl_the_lake_and_down(takeaway: Takeaway, tmp_path: Path) -> None:
    ports = {"TAKEAWAY_AWS_PORT": str(free_port()), "TAKEAWAY_API_PORT": str(free_port())}
    up = takeaway("up", "--speed", "1000", **ports, TAKEAWAY_LAKE_FILE_AGE="2")
    try:
        assert up.returncode == 0, up.stderr
        again = takeaway("up", **ports)
        assert "curl" in again.stdout, again.stderr
        (api,) = [one for one in processes.load(tmp_path / ".takeaway" / "services.json") if one.name == "api"]
        os.kill(api.pid, signal.SIGKILL)
        elsewhere = takeaway("up", **ports | {"TAKEAWAY_API_PORT": str(free_port())})
        assert elsewhere.returncode == 0, elsewhere.stderr
        up = takeaway("up", **ports)
        pasted = up.stdout.partition("Place an order, and follow it:")[2].partition("See it in the lake")[0]
        placing, following = pasted.strip().rsplit("curl", 1)
        placed = json.loads(bash(placing))
        assert placed["state"] == "placed", placed
        follow = placing.partition("\ncurl")[0] + "\ncurl" + following.replace("ORDER_ID", placed["order_id"])
        assert json.loads(bash(follow))["order_id"] == placed["order_id"]

        load = takeaway("load", "--orders", "10", "--rate", "20", "--speed", "1000", **ports)
        assert load.returncode == 0, load.stderr
        query = f"select event_type, count(*) as n from events where order_id <> '{placed['order_id']}' group by all"
        in_lake: Counter[str] = Counter()
        for _ in range(30):
            rows = json.loads(takeaway("lake", "sql", "--json", query).stdout or "[]")
            in_lake = Counter({row["event_type"]: row["n"] for row in rows})
            if in_lake["order_completed"] + in_lake["order_rejected"] == 10:
                break
        ledger = read_ledger(tmp_path / ".takeaway" / "ledger")
        promised = [entry for entry in ledger.acknowledged if entry.order_id != placed["order_id"]]
        assert in_lake == Counter(entry.event_type for entry in promised)

        # A query that wants less than there is must not leave Arrow reading while the process ends.
        assert [takeaway("lake", "sql", "select * from events limit 1").returncode for _ in range(3)] == [0] * 3

        assert "unexpected" in takeaway("audit").stdout
        audited = takeaway("audit", "--ignore-others")
        assert audited.returncode == 0, audited.stdout + audited.stderr
        assert "10 orders" in audited.stdout
        assert takeaway("report").returncode == 0
        report = json.loads((tmp_path / ".takeaway" / "report.json").read_text())
        assert report["audit"]["ok"]

        # A new local AWS knows nothing of the ledger before it.
        assert takeaway("down").returncode == 0
        assert takeaway("up", "--speed", "1000", **ports).returncode == 0
        assert takeaway("load", "--orders", "5", "--rate", "20", **ports).returncode == 0
        anew = takeaway("audit")
        assert anew.returncode == 0, anew.stdout
        assert "5 orders · " in anew.stdout
    finally:
        down = takeaway("down")
    assert down.returncode == 0
    assert our_processes(tmp_path / ".takeaway") == []
    assert takeaway("down").stdout.strip() == "nothing was up"
