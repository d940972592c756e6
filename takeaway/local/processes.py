"""Child processes: started in a session of their own, found again by a later command, and ended for certain."""

import os
import signal
import subprocess
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import psutil

from foundation.settings import variable
from takeaway.terminal import write, writing

# A service's own log, as everything that it starts inherits it: unlike a group, a child cannot leave it.
_MARK = "TAKEAWAY_STARTED_FOR"


@dataclass(frozen=True)
class Service:
    """A Python module to run, its arguments, and what it is called in logs and messages.

    One that is `following` ends when the process that started it does, however that dies.
    """

    name: str
    module: str
    arguments: Sequence[str] = ()
    following: bool = False

    @property
    def command(self) -> list[str]:
        """Run by this very interpreter, whatever is on the PATH."""
        modules = ["takeaway.programs.following", self.module] if self.following else [self.module]
        return [sys.executable, "-m", *modules, *self.arguments]


@dataclass(frozen=True)
class Running:
    """A process that was started. `created` guards against a pid that meanwhile means another process."""

    name: str
    pid: int
    created: float
    log: str

    def process(self) -> psutil.Process | None:
        """The live process, or None when it has ended."""
        try:
            process = psutil.Process(self.pid)
            if abs(process.create_time() - self.created) > 1 or process.status() == psutil.STATUS_ZOMBIE:
                return None
        except psutil.NoSuchProcess:
            return None
        return process


def start_process(service: Service, *, environ: Mapping[str, str], logs: Path) -> Running:
    """Starts the service in a session of its own; what it prints goes to its log.

    A Ctrl-C in the terminal therefore does not reach it: who started it decides in which order things end.
    """
    log = logs / f"{service.name}.log"
    with writing(log):
        logs.mkdir(parents=True, exist_ok=True)
        out = log.open("ab")
    with out:
        child = subprocess.Popen(  # noqa: S603 - our own arguments, no shell
            service.command,
            env={**environ, _MARK: _mark(log)},
            stdin=subprocess.PIPE if service.following else subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    _CHILDREN[child.pid] = child
    return Running(service.name, child.pid, psutil.Process(child.pid).create_time(), str(log))


# Popen objects of this process: kept so that an ended child is reaped and its exit code known.
_CHILDREN: dict[int, "subprocess.Popen[bytes]"] = {}


def exit_code(running: Running) -> int | None:
    """The exit code of a child of this very process; None while it runs, or when it is not ours to know."""
    child = _CHILDREN.get(running.pid)
    if child is None:
        return None
    # One that has ended may have threads that are still ending: for a moment the system has no code to tell.
    code = child.poll() if running.process() else child.wait(timeout=5)
    if child.stdin and code is not None:
        child.stdin.close()
    return code


def stop_processes(running: Iterable[Running], *, grace: float) -> list[Running]:
    """SIGTERM to all of them; after `grace` seconds SIGKILL to what is left of them and of all that they started.

    Returns those of which something had to be killed, also where the one that was started has long ended. A
    `KeyboardInterrupt` ends the grace: all are killed, and it goes on.
    """
    asked = list(running)
    leaders = [process for one in asked if (process := one.process())]
    for process in leaders:
        _signal(process.pid, signal.SIGTERM)
    try:
        _, stubborn = psutil.wait_procs(leaders, timeout=grace)
    except KeyboardInterrupt:
        _kill({*leaders, *_related({_mark(one.log) for one in asked})})
        raise
    related = _related({_mark(one.log) for one in asked})
    _kill({*stubborn, *related})
    for one in asked:
        exit_code(one)
    stubborn_pids, marks = {process.pid for process in stubborn}, set(related.values())
    return [one for one in asked if one.pid in stubborn_pids or _mark(one.log) in marks]


def without_secrets() -> dict[str, str]:
    """This process' variables but for those of AWS and the key of the API's tokens.

    What a child gets that works on an AWS of ours; what it needs of these it is given.
    """
    key = variable("token_key")
    return {name: value for name, value in os.environ.items() if name != key and not name.startswith("AWS_")}


def end_relatives() -> None:
    """SIGKILL to everything that belongs to the same service as this process, which stays."""
    _kill(_related({os.environ[_MARK]}).keys())


def save_services(path: Path, running: Iterable[Running]) -> None:
    """Writes down what runs, so that a later command finds it."""
    write(path, msgspec.json.format(msgspec.json.encode(list(running))).decode())


def load_services(path: Path) -> list[Running]:
    """What `save_services` wrote; nothing when there is no such file."""
    if not path.exists():
        return []
    return msgspec.json.decode(path.read_bytes(), type=list[Running])


def last_words(running: Running, lines: int = 5) -> str:
    """The end of its log: why it died, most likely."""
    path = Path(running.log)
    if not path.exists():
        return ""
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])


def _mark(log: Path | str) -> str:
    return str(Path(log).resolve())


def _related(marks: Collection[str]) -> dict[psutil.Process, str]:
    """Every live process that carries one of these marks, but this one; with its mark."""
    found = {}
    for process in psutil.process_iter():
        try:
            mark = process.environ().get(_MARK)
        except (psutil.AccessDenied, psutil.NoSuchProcess):
            # Somebody else's, or gone: not a process that we started and that lives.
            continue
        if mark is not None and mark in marks and process.pid != os.getpid():
            found[process] = mark
    return found


def _kill(processes: Collection[psutil.Process]) -> None:
    for process in processes:
        _signal(process.pid, signal.SIGKILL)
    psutil.wait_procs(processes, timeout=5)


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
