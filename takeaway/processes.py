"""Child processes: started in a group of their own, found again by a later command, and ended for certain."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import psutil


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
        modules = ["takeaway.following", self.module] if self.following else [self.module]
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


def start(service: Service, *, environ: Mapping[str, str], logs: Path) -> Running:
    """Starts the service in a session, and so a process group, of its own; what it prints goes to its log.

    A Ctrl-C in the terminal therefore does not reach it: who started it decides in which order things end.
    """
    logs.mkdir(parents=True, exist_ok=True)
    log = logs / f"{service.name}.log"
    with log.open("ab") as out:
        child = subprocess.Popen(  # noqa: S603 - our own arguments, no shell
            service.command,
            env=dict(environ),
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
    code = child.poll() if child else None
    if child and child.stdin and code is not None:
        child.stdin.close()
    return code


def stop(running: Iterable[Running], *, grace: float) -> list[Running]:
    """SIGTERM to all of them, then SIGKILL to the whole group of each that did not end within `grace` seconds.

    Returns those that had to be killed.
    """
    alive = [(one, process) for one in running if (process := one.process())]
    for _, process in alive:
        _signal(process.pid, signal.SIGTERM)
    _, stubborn = psutil.wait_procs([process for _, process in alive], timeout=grace)
    for process in stubborn:
        _signal_group(process.pid, signal.SIGKILL)
    psutil.wait_procs(stubborn, timeout=5)
    for one, _ in alive:
        exit_code(one)
    return [one for one, process in alive if process in stubborn]


def save(path: Path, running: Iterable[Running]) -> None:
    """Writes down what runs, so that a later command finds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(list(running))))


def load(path: Path) -> list[Running]:
    """What `save` wrote; nothing when there is no such file."""
    if not path.exists():
        return []
    return msgspec.json.decode(path.read_bytes(), type=list[Running])


def last_words(running: Running, lines: int = 5) -> str:
    """The end of its log: why it died, most likely."""
    path = Path(running.log)
    if not path.exists():
        return ""
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _signal_group(pid: int, number: signal.Signals) -> None:
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        return
