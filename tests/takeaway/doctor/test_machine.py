"""What the doctor sees of this machine, whatever else is away: processes, variables, disks."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from takeaway.doctor import machine
from takeaway.doctor.facts import Disk, UnknownVariable
from takeaway.doctor.settings import examined_sources, unknown_variables
from takeaway.local import processes
from takeaway.stack.environment import merged
from tests.support import ROOT
from tests.support.flow import until

SLEEPS = "import sys; print('up', flush=True); sys.stdin.read()"


@pytest.fixture
def sleeper(tmp_path: Path) -> "Iterator[subprocess.Popen[bytes]]":
    """A process that `takeaway up` might have started in this home."""
    log = tmp_path / "archiver.log"
    with log.open("ab") as out:
        child = subprocess.Popen(  # noqa: S603 - our own arguments
            [sys.executable, "-c", SLEEPS],
            stdin=subprocess.PIPE,
            stdout=out,
            env={**os.environ, "TAKEAWAY_BATCHSIZE": "7", "TAKEAWAY_LAKE_FILE_AGE": "10"},
        )
    created = psutil.Process(child.pid).create_time()
    processes.save_services(tmp_path / "services.json", [processes.Running("archiver", child.pid, created, str(log))])
    yield child
    child.kill()
    child.communicate()


@pytest.mark.slow
def test_a_frozen_process_and_one_that_has_ended(tmp_path: Path, sleeper: "subprocess.Popen[bytes]") -> None:
    until((tmp_path / "archiver.log").read_text)
    (up,) = machine.started(tmp_path, {})
    assert (up.up, up.frozen, up.works) == (True, False, True)
    os.kill(sleeper.pid, signal.SIGSTOP)
    until(lambda: machine.started(tmp_path, {})[0].frozen)
    assert not machine.started(tmp_path, {})[0].works
    os.kill(sleeper.pid, signal.SIGCONT)
    until(lambda: machine.started(tmp_path, {})[0].works)
    os.kill(sleeper.pid, signal.SIGKILL)
    sleeper.wait()
    (ended,) = machine.started(tmp_path, {})
    assert (ended.up, ended.last_words) == (False, "up")
    assert machine.own_variables(tmp_path) == {}


@pytest.mark.slow
def test_the_last_words_are_an_error_and_no_diagnostic(tmp_path: Path, sleeper: "subprocess.Popen[bytes]") -> None:
    sleeper.kill()
    sleeper.wait()
    with (tmp_path / "archiver.log").open("a") as log:
        log.write('{"at": "2026-03-14T12:00:00+00:00", "happened": "ShardStarted"}\n')
    assert machine.started(tmp_path, {})[0].last_words == ""


@pytest.mark.slow
@pytest.mark.usefixtures("sleeper")
def test_each_process_has_variables_of_its_own(tmp_path: Path) -> None:
    until((tmp_path / "archiver.log").read_text)
    own = machine.own_variables(tmp_path)
    assert own["archiver"]["TAKEAWAY_LAKE_FILE_AGE"] == "10"
    assert unknown_variables(own) == (UnknownVariable("TAKEAWAY_BATCHSIZE", "archiver", "TAKEAWAY_BATCH_SIZE"),)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("TAKEAWAY_BATCHSIZE", "TAKEAWAY_BATCH_SIZE"),
        ("TAKEAWAY_LAKE_FILE_AGES", "TAKEAWAY_LAKE_FILE_AGE"),
        ("takeaway_stream", "TAKEAWAY_STREAM"),
        ("TAKEWAY_STREAM", "TAKEAWAY_STREAM"),
        ("TAKEAWAY_TOKENKEY", "TAKEAWAY_TOKEN_KEY"),
        ("TAKEAWAY_XYZZY", None),
    ],
)
def test_a_variable_that_no_setting_reads_is_found_with_what_was_meant(name: str, meant: str | None) -> None:
    variables = {name: "1", "PATH": "/bin", "TAKEAWAY": "1", "TAKE": "2", "TAKEAWAY_STARTED_FOR": "log"}
    assert unknown_variables({"environment": variables}) == (UnknownVariable(name, "environment", meant),)


def test_one_that_is_set_in_many_places_is_told_once() -> None:
    (unknown,) = unknown_variables({"environment": {"TAKEAWAY_X": "1"}, "archiver": {"TAKEAWAY_X": "1"}})
    assert unknown.where == "environment"


def test_every_variable_that_is_documented_and_every_output_of_the_stack_is_known() -> None:
    texts = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    documented = {name for text in texts for name in re.findall(r"\bTAKEAWAY_[A-Z0-9_]*[A-Z0-9]\b", text.read_text())}
    template = (ROOT / "localstack" / "resources.yaml").read_text().partition("\nOutputs:")[2]
    outputs = re.findall(r"^  (\w+):", template, re.MULTILINE)
    named = documented | {f"TAKEAWAY_{re.sub(r'(?<!^)(?=[A-Z])', '_', name).upper()}" for name in outputs}
    assert {"TAKEAWAY_STREAM", "TAKEAWAY_CUSTOMER_KEY_BUCKET", "TAKEAWAY_BACKEND"} <= named
    assert unknown_variables({"environment": dict.fromkeys(named, "1")}) == ()


def test_a_folder_that_can_be_written_is_left_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (disk,) = machine.disks(tmp_path)
    assert (disk.folder, disk.trouble) == (str(tmp_path), None)
    assert disk.free_bytes > 0
    assert [path.name for path in tmp_path.rglob("*")] == ["logs"]
    assert machine.disks(tmp_path / "none") == ()


@pytest.mark.slow
def test_a_folder_without_room_is_told(tmp_path: Path) -> None:
    script = (
        "import resource, sys; from pathlib import Path; from takeaway.doctor import machine;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096));"
        "print(machine.disks(Path(sys.argv[1])))"
    )
    done = subprocess.run(  # noqa: S603 - our own arguments
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert "trouble='File too large'" in done.stdout
    assert Disk.__name__ in done.stdout


def test_a_local_aws_that_ended_without_down_is_the_one_to_look_at(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    assert "AWS_ENDPOINT_URL" not in merged(examined_sources(tmp_path))
    (tmp_path / "endpoint").write_text("http://127.0.0.1:4567")
    assert merged(examined_sources(tmp_path))["AWS_ENDPOINT_URL"] == "http://127.0.0.1:4567"
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4568")
    assert merged(examined_sources(tmp_path))["AWS_ENDPOINT_URL"] == "http://127.0.0.1:4568"
