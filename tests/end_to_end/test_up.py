"""`takeaway up` as a newcomer uses it, what it prints pasted into a shell; and what `down` leaves behind: nothing."""

import json
import os
import signal
import stat
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from producers.load.ledger import read_ledger
from takeaway.local import processes
from takeaway.local.aws import free_port
from tests.support.command_line import Takeaway
from tests.support.flow import our_processes, until
from tests.support.terminal import CTRL_C, at_a_terminal

pytestmark = pytest.mark.end_to_end

INTERRUPTED = 130


def bash(script: str) -> str:
    return subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout  # noqa: S603, S607


def promised(ledger: Path, *, without: str) -> Counter[str]:
    """Events by type, as the ledger has them."""
    return Counter(entry.event_type for entry in read_ledger(ledger).acknowledged if entry.order_id != without)


def in_the_lake(takeaway: Takeaway, *, without: str) -> Counter[str]:
    query = f"select event_type, count(*) as n from events where order_id <> '{without}' group by all"
    rows = json.loads(takeaway("lake", "sql", "--json", query).stdout or "[]")
    return Counter({row["event_type"]: row["n"] for row in rows})


def open_to_others(home: Path) -> list[str]:
    """What another user of this machine could read, write or enter."""
    found = [home, *home.rglob("*")]
    return [str(path) for path in found if not path.is_symlink() and stat.S_IMODE(path.stat().st_mode) & 0o077]


def with_secret(home: Path, secret: str) -> tuple[set[str], set[str]]:
    """The services that were given it in a variable, and those that show it in their arguments."""
    services = processes.load_services(home / "services.json")
    living = {one.name: process for one in services if (process := one.process())}
    return (
        {name for name, process in living.items() if secret in process.environ().values()},
        {name for name, process in living.items() if any(secret in word for word in process.cmdline())},
    )


def a_ctrl_c_at_its_start_says_what_it_waits_for_and_leaves_nothing(ports: dict[str, str], home: Path) -> None:
    with at_a_terminal("up", variables={**ports, "TAKEAWAY_HOME": str(home)}) as terminal:
        until((home / "services.json").exists, within=120)
        terminal.press(CTRL_C)
        terminal.until("stopping: waits until what was started has finished what it does, and has ended; Ctrl-C again")
        assert terminal.ended() == INTERRUPTED
        assert terminal.is_as_before()
    assert our_processes(home) == []
    assert not (home / "services.json").exists()


def knows_nothing_of_the_ledger_before(takeaway: Takeaway, ports: dict[str, str]) -> None:
    """A new local AWS, in the folder of one that is gone."""
    assert takeaway("up", "--speed", "1000", **ports, TAKEAWAY_LAKE_FILE_AGE="2").returncode == 0
    assert takeaway("load", "--orders", "5", "--rate", "20", **ports).returncode == 0
    anew = takeaway("audit")
    assert anew.returncode == 0, anew.stdout
    assert "5 orders · " in anew.stdout


@pytest.mark.timeout(480)
def test_up_a_curl_the_lake_and_down(takeaway: Takeaway, tmp_path: Path) -> None:
    ports = {"TAKEAWAY_AWS_PORT": str(free_port()), "TAKEAWAY_API_PORT": str(free_port())}
    a_ctrl_c_at_its_start_says_what_it_waits_for_and_leaves_nothing(ports, tmp_path / ".takeaway")
    up = takeaway("up", "--speed", "1000", **ports, TAKEAWAY_LAKE_FILE_AGE="2")
    try:
        assert up.returncode == 0, up.stderr
        home = tmp_path / ".takeaway"
        assert open_to_others(home) == []
        assert with_secret(home, (home / "token.key").read_text()) == ({"api", "restaurants"}, set())
        everybody = {one.name for one in processes.load_services(home / "services.json")}
        assert with_secret(home, (home / "access_key").read_text()) == (everybody, set())
        again = takeaway("up", **ports)
        assert "curl" in again.stdout, again.stderr
        (api,) = [one for one in processes.load_services(tmp_path / ".takeaway" / "services.json") if one.name == "api"]
        os.kill(api.pid, signal.SIGKILL)
        # The restaurants follow the API to another port: the orders below come to their end.
        elsewhere = takeaway("up", "--speed", "1000", **ports | {"TAKEAWAY_API_PORT": str(free_port())})
        assert elsewhere.returncode == 0, elsewhere.stderr
        refused = takeaway("up", **ports)
        assert refused.returncode == 2, "it is up on another port"
        assert "`takeaway down` first, or unset TAKEAWAY_API_PORT" in refused.stderr
        up = takeaway("up")
        assert up.stdout.count("was up") == len(processes.load_services(tmp_path / ".takeaway" / "services.json"))
        pasted = up.stdout.partition("Place an order, and follow it:")[2].partition("See it in the lake")[0]
        answers = bash(pasted)
        placed, end = json.JSONDecoder().raw_decode(answers)
        assert placed["state"] == "placed", answers
        assert json.loads(answers[end:])["order_id"] == placed["order_id"]

        load = takeaway("load", "--orders", "10", "--rate", "20", "--speed", "1000", "--seed", "5", **ports)
        assert load.returncode == 0, load.stderr
        ledger, others = tmp_path / ".takeaway" / "ledger", placed["order_id"]

        # The load has waited for each order's end. What expired is in the lake, and no command of the load's.
        assert promised(ledger, without=others)["order_placed"] == 10
        until(lambda: promised(ledger, without=others) <= in_the_lake(takeaway, without=others))

        # A query that wants less than there is must not leave Arrow reading while the process ends.
        assert [takeaway("lake", "sql", "select * from events limit 1").returncode for _ in range(3)] == [0] * 3

        assert "unexpected" in takeaway("audit").stdout
        audited = takeaway("audit", "--ignore-others", "--settle", "0")
        assert audited.returncode == 0, audited.stdout + audited.stderr
        assert "10 orders" in audited.stdout
        assert takeaway("report").returncode == 0
        report = json.loads((tmp_path / ".takeaway" / "report.json").read_text())
        assert report["audit"]["ok"]

        assert takeaway("down").returncode == 0
        knows_nothing_of_the_ledger_before(takeaway, ports)
    finally:
        private = open_to_others(tmp_path / ".takeaway")
        down = takeaway("down")
    assert private == []
    assert down.returncode == 0
    assert our_processes(tmp_path / ".takeaway") == []
    assert takeaway("down").stdout.strip() == "nothing was up"
