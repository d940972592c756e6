"""Looks at this machine: what `takeaway up` started, whether it lives and works, and the room there is for its logs."""

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from pathlib import Path

import psutil

from foundation.clock import SYSTEM_CLOCK
from foundation.settings import variable
from takeaway.doctor.facts import Disk, Process
from takeaway.http import get
from takeaway.local import Running, last_words, load_services
from takeaway.stack import API, Asked, Unanswered, token

HEALTH_SECONDS = 2.0
# A process that a signal has stopped goes on only when another one tells it to.
_FROZEN = (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP)
# A log's line is far shorter: where this does not fit, lines are lost.
_PROBE = bytes(1024 * 1024)
_NOBODY = "doctor"


def started(home: Path, environ: Mapping[str, str]) -> tuple[Process, ...]:
    """What `takeaway up` started there and did not stop, and whether the API among it can serve.

    `environ` has the key that tokens would be signed with.
    """
    return tuple(_looked_at(one, home, environ) for one in load_services(home / "services.json"))


def processes(home: Path) -> tuple[Process, ...]:
    """What `takeaway up` started there and did not stop, by its pid alone: none of it is asked anything."""
    return tuple(_by_pid(one) for one in load_services(home / "services.json"))


def own_variables(home: Path) -> dict[str, Mapping[str, str]]:
    """The variables of each process that `takeaway up` started, by its name; without those that hide them."""
    found: dict[str, Mapping[str, str]] = {}
    for one in load_services(home / "services.json"):
        try:
            if (process := one.process()) is not None:
                found[one.name] = process.environ()
        except psutil.Error:
            continue  # ended meanwhile, or another user's
    return found


def disks(home: Path) -> tuple[Disk, ...]:
    """Where `takeaway up` and `load` write, once there is such a folder; leaves no file behind."""
    folders = [folder for folder in (home, home / "logs") if folder.is_dir()]
    devices = {folder.stat().st_dev: folder for folder in reversed(folders)}
    return tuple(_disk(folder) for folder in reversed(devices.values()))


def local_date(url: str, path: str) -> datetime | None:
    """The Date of its answer. Raises `OSError` for none, or one that says that it cannot."""
    answer = get(url, path, seconds=HEALTH_SECONDS)
    if answer.is_server_error:
        raise OSError(f"HTTP {answer.status_code}")
    date = answer.headers.get("Date")
    return parsedate_to_datetime(date) if date else None


def _looked_at(running: Running, home: Path, environ: Mapping[str, str]) -> Process:
    found = _by_pid(running)
    return _api(found, home, environ) if running.name == API and found.works else found


def _by_pid(running: Running) -> Process:
    found = Process(running.name, running.pid, up=False, log=running.log)
    try:
        process = running.process()
        if process is None:
            return replace(found, last_words=_last_words(running))
        frozen = process.status() in _FROZEN
    except psutil.NoSuchProcess:
        return replace(found, last_words=_last_words(running))
    seconds = SYSTEM_CLOCK.now().timestamp() - running.created
    return replace(found, up=True, frozen=frozen, up_seconds=seconds)


def _last_words(running: Running) -> str:
    """Why it ended, where it said so; a diagnostic is what it did before."""
    words = last_words(running, lines=1)
    return "" if words.startswith("{") else words


def _api(api: Process, home: Path, environ: Mapping[str, str]) -> Process:
    path = home / "api_port"
    if not path.exists():
        return api
    url = f"http://127.0.0.1:{path.read_text().strip()}"
    answer = Asked(lambda: local_date(url, "/health"), HEALTH_SECONDS).answer()
    if isinstance(answer, Unanswered):
        return replace(api, trouble=f"{url}/health: {answer.reason}")
    key = environ.get(variable("token_key"), "")
    return replace(api, refuses_key=bool(key) and _refuses(url, key))


def _refuses(url: str, key: str) -> bool:
    """Asks for an order that is not there, with a token of this key: the answer tells who may not ask."""
    headers = {"Authorization": f"Bearer {token(key, _NOBODY, 'operator')}"}
    ask = Asked(lambda: get(url, f"/orders/{_NOBODY}", seconds=HEALTH_SECONDS, headers=headers), HEALTH_SECONDS)
    answer = ask.answer()
    return not isinstance(answer, Unanswered) and answer.status_code == HTTPStatus.UNAUTHORIZED


def _disk(folder: Path) -> Disk:
    free = shutil.disk_usage(folder).free
    try:
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(_PROBE)
            probe.flush()
    except OSError as error:
        return Disk(str(folder), free, trouble=error.strerror or str(error))
    return Disk(str(folder), free)
