"""The back ends of the local AWS: started, ended with all that they started, and their recipes agree with the code."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest
import yaml

from foundation.clock import uninterrupted_wait
from takeaway.errors import UserError
from takeaway.local import aws as local_aws
from takeaway.local import backends, processes
from takeaway.local.backends import EMBEDDED, LOCAL_AWS, LOCALSTACK_FOLDER
from takeaway.local.processes import Running, Service
from takeaway.stack import deployment, flow
from tests.conftest import LocalAws, the_backend
from tests.support.fakes.clock import FakeClock

pytestmark = pytest.mark.slow

# Starts a process that leaves the group and the session, as LocalStack does with Kinesis, and waits for ever.
ESCAPES = """
import pathlib, signal, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"], start_new_session=True)
written = pathlib.Path(sys.argv[1] + ".new")
written.write_text(str(child.pid))
written.rename(sys.argv[1])
signal.pause()
"""

Started = tuple[Running, psutil.Process]


def until(found: Callable[[], Any], seconds: float = 20) -> Any:
    wait = uninterrupted_wait()
    for _ in range(int(seconds / 0.05)):
        if value := found():
            return value
        wait(0.05)
    raise AssertionError(f"not within {seconds} s")


def gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


@pytest.fixture
def escaping(tmp_path: Path) -> Iterator[Callable[..., Started]]:
    """Starts a foreign program with a child that no group holds; gives the service and that child."""
    running: list[Running] = []

    def start(*, following: bool = False) -> Started:
        told = tmp_path / "pid"
        service = Service("foreign", "takeaway.programs.foreign", [sys.executable, "-c", ESCAPES, str(told)], following)
        running.append(processes.start_process(service, environ=os.environ, logs=tmp_path))
        until(told.exists)
        child = psutil.Process(int(told.read_text()))
        assert os.getsid(child.pid) == child.pid != running[0].pid
        return running[0], child

    yield start
    processes.stop_processes(running, grace=5)


@pytest.mark.end_to_end
def test_stopping_ends_what_left_the_group(escaping: Callable[..., Started]) -> None:
    running, child = escaping()
    assert processes.stop_processes([running], grace=20) == []
    assert running.process() is None
    assert gone(child)


@pytest.mark.end_to_end
def test_stopping_ends_what_one_that_was_killed_left_behind(escaping: Callable[..., Started]) -> None:
    running, child = escaping()
    for process in (psutil.Process(running.pid), *psutil.Process(running.pid).children()):
        process.kill()
    until(lambda: running.process() is None)
    assert not gone(child)
    assert processes.stop_processes([running], grace=0) == [running]
    assert gone(child)


@pytest.mark.end_to_end
def test_a_program_that_dies_takes_its_own_with_it(escaping: Callable[..., Started]) -> None:
    running, child = escaping()
    (program,) = psutil.Process(running.pid).children()
    program.kill()
    until(lambda: processes.exit_code(running) is not None)
    assert processes.exit_code(running) == 128 + signal.SIGKILL
    assert gone(child)


@pytest.mark.end_to_end
def test_a_program_follows_the_one_who_started_it(escaping: Callable[..., Started]) -> None:
    running, child = escaping(following=True)
    starter = processes._CHILDREN[running.pid]
    assert starter.stdin is not None
    starter.stdin.close()
    until(lambda: running.process() is None)
    assert gone(child)


@pytest.mark.end_to_end
def test_stopping_leaves_others_alone(escaping: Callable[..., Started], tmp_path: Path) -> None:
    running, child = escaping()
    namesake = Running(running.name, 2**22 + 1, 0.0, str(tmp_path / "elsewhere" / "foreign.log"))
    assert processes.stop_processes([namesake], grace=0) == []
    assert running.process() is not None
    assert not gone(child)


@pytest.mark.end_to_end
def test_down_ends_what_a_dead_local_aws_left_behind(escaping: Callable[..., Started], tmp_path: Path) -> None:
    running, child = escaping()
    processes.save_services(tmp_path / "services.json", [running])
    for process in (psutil.Process(running.pid), *psutil.Process(running.pid).children()):
        process.kill()
    until(lambda: running.process() is None)
    flow.existing(tmp_path).stop()
    assert gone(child)


def a_script(folder: Path, text: str) -> str:
    path = folder / "script.sh"
    path.write_text(f"#!/usr/bin/env bash\n{text}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.end_to_end
def test_one_that_ends_says_so_with_its_last_words(tmp_path: Path) -> None:
    backend = replace(EMBEDDED, script=a_script(tmp_path, '[ "$1" = install ] || { echo "out of $1"; exit 3; }'))
    with pytest.raises(UserError, match=r"the local AWS \(embedded\) on port \d+ ended") as raised:
        backend.start(local_aws.free_port(), tmp_path, following=False)
    assert "out of run" in raised.value.fix


@pytest.mark.end_to_end
def test_one_that_never_answers_is_given_up_and_ended(tmp_path: Path) -> None:
    clock = FakeClock()
    backend = replace(EMBEDDED, script=a_script(tmp_path, '[ "$1" = install ] || exec sleep 600'))
    log = tmp_path / "local-aws.log"
    with pytest.raises(UserError, match="did not answer within 30 s"):
        backend.start(local_aws.free_port(), tmp_path, following=False, clock=clock.clock, wait=clock.wait)
    assert processes._related({str(log.resolve())}) == {}


def test_one_that_cannot_be_installed_says_why_in_its_own_words(tmp_path: Path) -> None:
    script = a_script(tmp_path, "printf 'error: no room\\nfix: make some\\n' >&2; exit 2")
    backend = replace(EMBEDDED, script=script)
    with pytest.raises(UserError, match="no room") as raised:
        backend.start(local_aws.free_port(), tmp_path, following=False)
    assert raised.value.fix.strip() == "make some"
    assert backend.unusable() == "error: no room\nfix: make some"
    assert EMBEDDED.unusable() is None


def test_an_unknown_one_names_those_that_are() -> None:
    with pytest.raises(UserError, match="'moto'") as raised:
        backends.backend_named("moto")
    assert raised.value.fix == "one of: embedded, localstack, docker"


@pytest.mark.end_to_end
def test_another_one_is_up_already(escaping: Callable[..., Started], tmp_path: Path) -> None:
    processes.save_services(tmp_path / "services.json", [replace(escaping()[0], name=LOCAL_AWS)])
    (tmp_path / "backend").write_text("localstack")
    with pytest.raises(UserError, match="localstack is up, not embedded"):
        flow.up(tmp_path, backend=EMBEDDED, aws_port=1, api_port=1, aws_only=True, speed=1)


# localstack/host.sh, without installing anything.


def run(script: str, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(  # noqa: S603 - our own scripts
        ["/bin/bash", str(LOCALSTACK_FOLDER / script), *arguments],
        env={"PATH": os.environ["PATH"], **variables},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def an_executable(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_a_shim_that_does_not_run_is_no_python(tmp_path: Path) -> None:
    an_executable(tmp_path / "bin" / "python3.13", "echo not selected >&2; exit 127")
    real = an_executable(tmp_path / ".pyenv" / "versions" / "3.13.9" / "bin" / "python", "echo 3.13")
    done = run("host.sh", "check", HOME=str(tmp_path), PATH=f"{tmp_path / 'bin'}:/usr/bin:/bin")
    assert (done.returncode, done.stdout.strip()) == (0, str(real))


@pytest.mark.parametrize(
    ("variables", "error"),
    [
        ({}, "needs Python 3.13, and there is none here"),
        ({"TAKEAWAY_PYTHON313": "/nowhere/python"}, "TAKEAWAY_PYTHON313=/nowhere/python is no Python 3.13"),
    ],
)
@pytest.mark.parametrize("command", ["check", "install"])
def test_without_python_3_13_it_says_how_to_get_one(
    variables: dict[str, str], error: str, command: str, tmp_path: Path
) -> None:
    project = tmp_path / "project" / "localstack"
    project.mkdir(parents=True)
    an_executable(tmp_path / "bin" / "python3.13", "exit 127")
    for name in ("host.sh", "host.lock.txt"):
        (project / name).write_bytes((LOCALSTACK_FOLDER / name).read_bytes())
    path = f"{tmp_path / 'bin'}:/usr/bin:/bin"
    done = run(str(project / "host.sh"), command, HOME=str(tmp_path), PATH=path, **variables)
    assert done.returncode == 2
    assert error in done.stderr
    assert "\nfix: " in done.stderr


def test_the_lock_is_whole_and_names_no_machine() -> None:
    lines = (LOCALSTACK_FOLDER / "host.lock.txt").read_text()
    requirements = re.findall(r"^\S+==\S+ \\\n(?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+", lines, re.MULTILINE)
    assert "".join(requirements) == lines
    assert any(one.startswith("localstack-core==4.14.0 ") for one in requirements)


# localstack/docker.sh and compose.yaml: there may be no Docker where this runs, so a double stands in for its client.


@pytest.fixture
def docker(tmp_path: Path) -> Path:
    """A folder with a `docker` that writes down what it is asked, and whose `compose up` stays."""
    calls = tmp_path / "calls"
    text = f'echo "$@ port=$TAKEAWAY_AWS_PORT" >>{calls}\ncase "$*" in *" up "*) exec sleep 60;; esac'
    an_executable(tmp_path / "bin" / "docker", text)
    return tmp_path


@pytest.mark.end_to_end
def test_docker_takes_its_container_with_it(docker: Path) -> None:
    calls, path = docker / "calls", f"{docker / 'bin'}:{os.environ['PATH']}"
    service = Service(
        "docker", "takeaway.programs.foreign", ["bash", str(LOCALSTACK_FOLDER / "docker.sh"), "run", "4599"]
    )
    running = processes.start_process(service, environ={**os.environ, "PATH": path}, logs=docker)
    until(lambda: calls.exists() and " up " in calls.read_text())
    assert processes.stop_processes([running], grace=20) == []
    compose = f"compose --project-name takeaway-4599 --file {LOCALSTACK_FOLDER / 'compose.yaml'}"
    started, ended = calls.read_text().splitlines()[-2:]
    assert started == f"{compose} up --no-color port=4599"
    assert ended == f"{compose} down --volumes --timeout 3 port=4599"


def test_an_engine_that_does_not_answer(tmp_path: Path) -> None:
    an_executable(tmp_path / "docker", '[ "$1" != info ]')
    for arguments in (["check"], ["install"], ["run", "4599"]):
        done = run("docker.sh", *arguments, PATH=f"{tmp_path}:/usr/bin:/bin")
        assert done.returncode == 2
        assert "Docker's engine does not answer" in done.stderr
        assert "\nfix: " in done.stderr


def test_the_compose_file_says_what_the_code_says() -> None:
    service = yaml.safe_load((LOCALSTACK_FOLDER / "compose.yaml").read_text())["services"]["localstack"]
    assert service["image"] == "localstack/localstack:4.14.0"
    assert service["ports"] == ["127.0.0.1:${TAKEAWAY_AWS_PORT:-4566}:4566"]
    environment = service["environment"]
    assert environment["LOCALSTACK_AUTH_TOKEN"] is None, "set or not: as it is outside"
    assert (environment["KINESIS_LATENCY"], environment["SQS_ENDPOINT_STRATEGY"]) == ("0", "off")
    host = (LOCALSTACK_FOLDER / "host.sh").read_text()
    assert f"SERVICES={environment['SERVICES']} " in host
    mounts = dict(volume.split(":")[:2] for volume in service["volumes"])
    assert all((LOCALSTACK_FOLDER / source).exists() for source in mounts)
    assert mounts["./init/ready.d"] == "/etc/localstack/init/ready.d"
    assert mounts["./resources.yaml"] in (LOCALSTACK_FOLDER / "init" / "ready.d" / "deploy.sh").read_text()
    assert "/_localstack/init/ready" in service["healthcheck"]["test"][1]


def test_every_service_of_the_template_is_started() -> None:
    text = (LOCALSTACK_FOLDER / "compose.yaml").read_text()
    started = yaml.safe_load(text)["services"]["localstack"]["environment"]["SERVICES"].split(",")
    used = {found.lower() for found in re.findall(r"Type: AWS::(\w+)::", deployment.template())}
    assert used | {"ses", "sts", "cloudformation"} <= set(started)


def test_the_container_deploys_what_we_deploy(tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    answers = 'case "$*" in *describe-stacks*) echo CREATE_COMPLETE;; esac'
    an_executable(tmp_path / "awslocal", f'echo "$AWS_DEFAULT_REGION $@" >>{calls}\n{answers}')
    script = LOCALSTACK_FOLDER / "init" / "ready.d" / "deploy.sh"
    assert os.access(script, os.X_OK)
    assert run(str(script), PATH=f"{tmp_path}:/usr/bin:/bin").returncode == 0
    deployed, *_, verified = calls.read_text().splitlines()
    stack = f"cloudformation create-stack --stack-name {deployment.DEFAULT_STACK} "
    assert deployed.startswith(f"{local_aws.REGION} {stack}")
    assert deployed.endswith(" --parameters ParameterKey=WithAuditQueue,ParameterValue=yes")
    assert verified.endswith(f"verify-email-identity --email-address {deployment.DEFAULT_SENDER}")


def test_a_stack_that_fails_in_the_container_is_said(tmp_path: Path) -> None:
    an_executable(tmp_path / "awslocal", 'case "$*" in *describe-stacks*) echo ROLLBACK_COMPLETE;; esac')
    done = run(str(LOCALSTACK_FOLDER / "init" / "ready.d" / "deploy.sh"), PATH=f"{tmp_path}:/usr/bin:/bin")
    assert done.returncode == 1
    assert done.stderr == "error: the stack takeaway is in ROLLBACK_COMPLETE\n"


@pytest.mark.local_aws
@pytest.mark.skipif(the_backend() is not backends.LOCALSTACK, reason="the aws command comes with LocalStack's own")
def test_a_localstack_takes_what_the_container_deploys(local_aws: LocalAws, tmp_path: Path) -> None:
    """The script as it is, with awslocal, the template's place and the stack's name as they are here."""
    template, stack = str(LOCALSTACK_FOLDER / "resources.yaml"), "from-the-container"
    text = f"""
        for argument; do
          case "$argument" in takeaway) argument={stack};; file:*) argument='file://{template}';; esac
          set -- "$@" "$argument"; shift
        done
        exec aws --endpoint-url {local_aws.endpoint} "$@"
    """
    an_executable(tmp_path / "awslocal", text)
    path = f"{tmp_path}:{LOCALSTACK_FOLDER.parent / '.localstack' / 'venv' / 'bin'}:/usr/bin:/bin"
    keys = {name: value for name, value in local_aws.environ.items() if name.startswith("AWS_")}
    done = run(str(LOCALSTACK_FOLDER / "init" / "ready.d" / "deploy.sh"), **{**keys, "PATH": path})
    assert done.returncode == 0, done.stdout + done.stderr
    deployed = deployment.settings({**local_aws.environ, "TAKEAWAY_STACK": stack})
    assert deployed.keys() == deployment.settings(local_aws.environ).keys()
    assert deployed["TAKEAWAY_STREAM"] == f"{stack}-orders"


# What every back end must be, whichever runs.


@pytest.mark.local_aws
def test_nobody_outside_this_machine_reaches_it(local_aws: LocalAws) -> None:
    port = urlsplit(local_aws.endpoint).port
    own = [one.address for some in psutil.net_if_addrs().values() for one in some if one.family == socket.AF_INET]
    others = {"127.0.0.2", *own} - {"127.0.0.1"}
    for address, answers in [("127.0.0.1", True), *((other, False) for other in others)]:
        with socket.socket() as probe:
            assert (probe.connect_ex((address, port)) == 0) is answers, address


@pytest.mark.local_aws
def test_one_of_many_conditional_writes_wins(local_aws: LocalAws) -> None:
    table = local_aws.environ["TAKEAWAY_OUTCOMES_TABLE"]
    dynamodb = local_aws.client("dynamodb")

    # A condition that takes long to judge leaves room between judging and writing.
    condition = " AND ".join(f"attribute_not_exists({name})" for name in ("outcome_id", *(f"a{n}" for n in range(120))))

    def write(name: str) -> bool:
        try:
            dynamodb.put_item(TableName=table, Item={"outcome_id": {"S": name}}, ConditionExpression=condition)
        except dynamodb.exceptions.ConditionalCheckFailedException:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        for race in range(5):
            assert sum(threads.map(write, [f"test_backends/{race}"] * 8)) == 1
