"""docs/subscribers.md: its code is the repository's, and its commands do in a copy of the checkout what it says."""

import json
import os
import re
import shlex
import signal
from functools import partial
from pathlib import Path

import pytest

from consumers.specs import readers
from takeaway.local.aws import free_port
from takeaway.local.processes import load_services
from tests.support import ROOT
from tests.support.clone import Clone
from tests.support.command_line import run_takeaway
from tests.support.flow import our_processes, until

DOCUMENT = (ROOT / "docs/subscribers.md").read_text(encoding="utf-8")
BEGIN, QUICK, CHECK, UP, DOCTOR = (
    re.search(r"^```\n(takeaway new consumer .*?)```", DOCUMENT, re.MULTILINE | re.DOTALL) or [""] * 2
)[1].splitlines()
TELLS = "takeaway new consumer points_issuer --listens-to order_completed --publishes points_earned"
PYTEST = ("-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider")
FIELD_IDS = "tests/events/golden/field_ids.txt"


def test_its_examples_stand_in_the_files_that_it_names() -> None:
    named = re.findall(r"From\s`([\w/.]+)`:\n\n```python\n(.*?)```", DOCUMENT, re.DOTALL)
    assert len(named) == 3
    for path, code in named:
        # As its words: in a document ruff has code begin at the margin.
        assert " ".join(code.split()) in " ".join((ROOT / path).read_text(encoding="utf-8").split())


def test_its_commands_are_the_ones_that_are_run_here() -> None:
    assert f"\n{TELLS}\n" in DOCUMENT
    assert [one.split()[:2] for one in (QUICK, CHECK, UP, DOCTOR)] == [
        ["make", "quick"],
        ["make", "check"],
        ["takeaway", "up"],
        ["takeaway", "doctor"],
    ]


def with_own_event(clone: Clone) -> None:
    """The steps one to four, with the number that is free by now."""
    [declared] = re.findall(r"```python\n(class PointsEarned.*?)```", DOCUMENT, re.DOTALL)
    [golden] = re.findall(r"python - <<'END'\n(.*?)END\n", DOCUMENT, re.DOTALL)
    ids = (ROOT / FIELD_IDS).read_text(encoding="utf-8")
    free = max(int(line.split()[0]) for line in ids.splitlines() if line[0].isdigit()) + 1
    assert '"field_id": 124' in declared
    assert "the line `124 points`" in DOCUMENT
    declared = declared.replace("124", str(free))
    clone.edit("events/orders.py", "\n\nEvent = (\n", f"\n\n{declared}\n\nEvent = (\n")
    clone.edit("events/orders.py", "    | VoucherIssued\n", "    | VoucherIssued\n    | PointsEarned\n")
    clone.edit("events/__init__.py", "    RejectionReason,\n", "    PointsEarned,\n    RejectionReason,\n")
    clone.edit("events/__init__.py", '    "RejectionReason",\n', '    "PointsEarned",\n    "RejectionReason",\n')
    (clone.folder / FIELD_IDS).write_text(f"{ids.rstrip()}\n{free} points\n", encoding="utf-8")
    clone.python("-", text=golden)


def begun(clone: Clone, command: str) -> set[str]:
    """The files that are new, or say something else."""
    before = clone.digests()
    clone.python("-m", "takeaway.cli", *shlex.split(command)[1:])
    return {path for path, digest in clone.digests().items() if before.get(path) != digest}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_what_it_begins_is_complete(tmp_path: Path) -> None:
    clone = Clone.at(tmp_path)
    touched = begun(clone, BEGIN)
    assert touched == {
        "consumers/subscribers/loyalty_points.py",
        "tests/consumers/subscribers/test_loyalty_points.py",
        "consumers/specs.py",
        "events/choreography.py",
        "README.md",
    }
    with_own_event(clone)
    touched |= begun(clone, TELLS)
    touched |= begun(clone, "takeaway new consumer looks_on --listens-to order_placed,order_rejected")
    modules = sorted(path for path in touched if path.endswith(".py"))
    clone.python("-m", "ruff", "format", "--check", "--no-cache", *modules, "events")
    clone.python("-m", "ruff", "check", "--no-cache", *modules, "events")
    # What looks at the list, the choreography or the contract.
    looks = [f"tests/takeaway/{room}" for room in ("audit", "commands", "demo", "doctor", "scaffold", "trace")]
    own = QUICK.partition("ARGS=")[2]
    told = clone.python(*PYTEST, "--quick", own, "tests/consumers", "tests/events", "tests/analytics/table", *looks)
    assert re.search(r"\d{3} passed", told)
    slow = ("tests/consumers/test_specs.py", "tests/takeaway/commands/test_flow.py")
    assert "failed" not in clone.python(*PYTEST, "-m", "slow", *slow)


def removed(clone: Clone, name: str) -> None:
    """As the document says: the module, the test, the line and the steps; then the drawing."""
    (clone.folder / f"consumers/subscribers/{name}.py").unlink()
    (clone.folder / f"tests/consumers/subscribers/test_{name}.py").unlink()
    for path in ("consumers/specs.py", "events/choreography.py"):
        text = (clone.folder / path).read_text(encoding="utf-8")
        line = rf'    ConsumerSpec\(\n        part=first_step\("{name}"\),\n(        .*\n)*    \),\n'
        text = re.sub(rf'{line}|    Step\("{name}", .*\n', "", text)
        (clone.folder / path).write_text(text, encoding="utf-8")
    readme = (clone.folder / "README.md").read_text(encoding="utf-8")
    drawn = clone.python("-m", "takeaway.cli", "flow", "show", "--mermaid").strip()
    readme = re.sub(r"(?<=```mermaid\n).*?(?=\n```)", lambda _: drawn, readme, count=1, flags=re.DOTALL)
    (clone.folder / "README.md").write_text(readme, encoding="utf-8")


@pytest.mark.long
@pytest.mark.end_to_end
@pytest.mark.timeout(600)
def test_it_is_started_beside_a_running_flow_and_removed_alone(tmp_path: Path) -> None:
    clone, home = Clone.at(tmp_path / "clone"), tmp_path / "clone/.takeaway"
    # Or a copy would make itself a LocalStack first.
    (clone.folder / ".localstack").symlink_to(ROOT / ".localstack")
    ports = {"TAKEAWAY_AWS_PORT": str(free_port()), "TAKEAWAY_API_PORT": str(free_port())}
    run = partial(run_takeaway, home=clone.folder, **clone.environ, **ports)

    def heard(consumer: str, told: str) -> int:
        lines = (home / f"logs/{consumer}.log").read_text().splitlines()
        return sum(json.loads(line).get("told") == told for line in lines if '"StepPerformed"' in line)

    def reads(consumer: str) -> bool:
        log = home / f"logs/{consumer}.log"
        return log.exists() and '"ShardStarted"' in log.read_text()

    def in_the_lake() -> int:
        query = "select count(*) as rows from events where event_type = 'points_earned'"
        return int(json.loads(run("lake", "sql", "--json", query).stdout or '[{"rows": 0}]')[0]["rows"])

    def living() -> dict[str, int]:
        return {one.name: one.pid for one in load_services(home / "services.json") if one.process()}

    try:
        up = run("up", "--speed", "1000", TAKEAWAY_LAKE_FILE_AGE="2")
        assert up.returncode == 0, up.stderr
        # What still starts would read the code that is edited below.
        until(lambda: all(map(reads, readers())))
        before = living()
        # The archiver that runs knows neither the new event nor who tells it.
        with_own_event(clone)
        modules = {path for one in (BEGIN, TELLS) for path in begun(clone, one) if path.endswith(".py")}
        module = "consumers/subscribers/points_issuer.py"
        clone.edit(module, "return None", "return PointsEarned(customer_id=heard.event.customer_id, points=1)")
        clone.edit(module, "_heard:", "heard:")
        clone.edit("tests/consumers/subscribers/test_points_issuer.py", "(heard) is None", "(heard) is not None")
        # CHECK, of what is new.
        clone.python("-m", "ruff", "check", "--no-cache", *modules)
        clone.python("-m", "mypy", "--cache-dir", str(tmp_path / "mypy"), *modules)
        again = run(*UP.split()[1:])
        assert again.returncode == 0, again.stderr
        assert living() == before | {name: living()[name] for name in ("loyalty_points", "points_issuer")}
        until(lambda: reads("loyalty_points") and reads("points_issuer"))
        load = run("load", "--orders", "20", "--rate", "20", "--speed", "1000")
        assert load.returncode == 0, load.stderr
        until(lambda: heard("points_issuer", "points_earned") == heard("loyalty_points", "nothing") > 0)
        completed = int(re.search(r"(\d+) completed", load.stdout)[1])  # type: ignore[index]
        until(lambda: in_the_lake() == heard("points_issuer", "points_earned") == completed, every=1)
        audited = run("audit")
        assert audited.returncode == 0, audited.stdout
        assert " 0 lost · 0 doubled · " in audited.stdout
        doctor = run(*DOCTOR.split()[1:])
        assert (doctor.returncode, "loyalty_points" in doctor.stdout) == (0, True), doctor.stdout
        os.kill(living()["loyalty_points"], signal.SIGTERM)
        until(lambda: "loyalty_points" not in living())
        assert before.items() <= living().items()
        removed(clone, "loyalty_points")
        clone.python(*PYTEST, "--quick", "tests/consumers", "tests/events/test_choreography.py")
        assert "loyalty_points" not in run("up").stdout
    finally:
        down = run("down", "--yes")
    assert down.returncode == 0, down.stderr
    assert our_processes(home) == []
