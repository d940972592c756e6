"""A consumer under the KCL: Java is found or asked for, and the daemon and its children end in good order."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from takeaway.cli import app
from takeaway.errors import UserError
from takeaway.local import kcl

pytestmark = pytest.mark.slow

PROPERTIES = {"streamName": "orders", "executableName": "python3 -m consumers.entrypoints.kcl archiver"}

# A child that notes the signal it is sent, beside a daemon that ends as a JVM does.
GRACEFUL = """
sh -c 'trap "echo child >> $0.heard; exit" TERM; touch $0.up; while :; do sleep 0.05; done' "$0" &
trap 'echo daemon >> $0.heard; wait; exit 143' TERM
while :; do sleep 0.05; done
"""
STUBBORN = "trap '' TERM; touch $0.up; while :; do sleep 0.05; done"


@pytest.fixture
def a_java(tmp_path: Path) -> Callable[..., dict[str, str]]:
    """A folder with a `java`: what it says its version is, and what it does as a daemon. Answers with the variables."""

    def made(does: str = "exit 0", version: str = 'openjdk version "17.0.15" 2025-04-15') -> dict[str, str]:
        java = tmp_path / "bin" / "java"
        java.parent.mkdir()
        java.write_text(f"#!/bin/sh\nif [ $1 = -version ]; then echo '{version}' >&2; exit; fi\n{does}\n")
        java.chmod(0o755)
        return {"PATH": f"{java.parent}:/usr/bin:/bin"}

    return made


def test_without_java_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UserError) as raised:
        kcl.java({"PATH": str(tmp_path)})
    assert "--engine worker" in raised.value.fix


@pytest.mark.parametrize("version", ['java version "1.7.0_80"', "no such command"])
def test_a_java_that_is_too_old_or_none_is_refused(a_java: Callable[..., dict[str, str]], version: str) -> None:
    with pytest.raises(UserError):
        kcl.java(a_java(version=version))


def test_java_home_goes_first(a_java: Callable[..., dict[str, str]], tmp_path: Path) -> None:
    a_java()
    assert kcl.java({"JAVA_HOME": str(tmp_path), "PATH": "/nowhere"}) == str(tmp_path / "bin" / "java")


def test_a_java_home_without_java_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError):
        kcl.java({"JAVA_HOME": str(tmp_path)})


def test_an_engine_that_there_is_not_is_refused() -> None:
    assert CliRunner().invoke(app, ["work", "archiver", "--engine", "spark"]).exit_code == 2


@pytest.mark.end_to_end
def test_the_daemon_is_told_by_files(a_java: Callable[..., dict[str, str]], tmp_path: Path) -> None:
    environ = a_java(does='echo "$@" > $0.told')
    assert kcl.run_kcl(PROPERTIES, tmp_path / "home", environ, threading.Event().wait) == 0
    told = (tmp_path / "bin" / "java.told").read_text().split()
    properties = Path(told[told.index("--properties-file") + 1])
    assert "streamName = orders" in properties.read_text().splitlines()
    assert Path(told[told.index("--log-configuration") + 1]).exists()


@pytest.mark.end_to_end
def test_a_daemon_that_ends_by_itself_gives_its_exit_code(
    a_java: Callable[..., dict[str, str]], tmp_path: Path
) -> None:
    assert kcl.run_kcl(PROPERTIES, tmp_path, a_java(does="exit 7"), threading.Event().wait) == 7


@pytest.mark.end_to_end
def test_a_stop_reaches_daemon_and_children_and_is_no_failure(
    a_java: Callable[..., dict[str, str]], tmp_path: Path
) -> None:
    assert kcl.run_kcl(PROPERTIES, tmp_path, a_java(does=GRACEFUL), once_up(tmp_path)) == 0
    heard = (tmp_path / "bin" / "java.heard").read_text().split()
    assert sorted(heard) == ["child", "daemon"]


@pytest.mark.end_to_end
def test_a_daemon_that_does_not_stop_is_killed_and_told_of(
    a_java: Callable[..., dict[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kcl, "DAEMON_GRACE_SECONDS", 0.1)
    monkeypatch.setattr(kcl, "_EXIT_SECONDS", 0.1)
    with pytest.raises(UserError):
        kcl.run_kcl(PROPERTIES, tmp_path, a_java(does=STUBBORN), once_up(tmp_path))


def once_up(folder: Path) -> Callable[[float], bool]:
    """A wait that is cut short as soon as the daemon has said that it is up."""
    waited = threading.Event()

    def wait(_seconds: float) -> bool:
        waited.wait(0.02)
        return (folder / "bin" / "java.up").exists()

    return wait
