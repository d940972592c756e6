"""logs: what the processes of this home did, as they told it themselves."""

import json
import sys
from collections import deque
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from consumers.specs import CONSUMERS
from foundation.clock import SYSTEM_CLOCK
from takeaway.commands import completing
from takeaway.commands.options import moment, stop_on_signal
from takeaway.errors import UserError
from takeaway.stack import HOME
from takeaway.terminal import PlainConsole, counted, piped, say

if TYPE_CHECKING:
    from takeaway.logs import LogLine

_LOOK_SECONDS = 0.3


def logs(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            help="Consumers or processes; all by default.", autocompletion=completing.processes, metavar="[NAME]..."
        ),
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes, until Ctrl-C.")] = False,
    last: Annotated[
        int, typer.Option("--last", "-n", min=0, help="Begin with so many of the newest lines; 0: all.")
    ] = 100,
    since: Annotated[
        str | None, typer.Option(metavar="WHEN", help="Only what happened since: 10m, 2h, 1d, or a time in ISO 8601.")
    ] = None,
    errors: Annotated[
        bool, typer.Option("--errors", help="Only what tells an error, and what is no line of ours, as a traceback.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the lines as they are: a JSON object each.")] = False,
) -> None:
    """Show what the processes that `takeaway up` started told, merged by time. Times are in UTC.

    A process told by its own name (api, watcher, keeper, ...), or a consumer, wherever it runs.

    Examples: takeaway logs -f archiver · takeaway logs --errors --since 1h
    """
    from takeaway.logs import LogFolder

    folder = HOME / "logs"
    begin = None if since is None else moment(since, SYSTEM_CLOCK.now())
    processes = _processes(folder, names)
    stop = stop_on_signal() if follow else None
    show = _shows(as_json)
    wanted = _wanted(begin, errors=errors)
    with LogFolder(folder, processes) as reading:
        _show_newest(filter(wanted, reading.lines()), last, show, is_all=not follow)
        while stop is not None and not stop.wait(_LOOK_SECONDS):
            _show_all(filter(wanted, reading.lines()), show)


def _show_newest(lines: "Iterable[LogLine]", last: int, show: "Callable[[LogLine], None]", *, is_all: bool) -> None:
    found = 0
    newest: deque[LogLine] = deque(maxlen=last or None)
    for line in lines:
        newest.append(line)
        found += 1
    if found > len(newest):
        say(f"{counted(found - len(newest), 'line')} before these; --last 0 shows all", file=sys.stderr)
    _show_all(newest, show)
    if not newest and is_all:
        say("nothing of the kind was told", file=sys.stderr)


def _processes(folder: Path, names: list[str] | None) -> frozenset[str] | None:
    """The processes that tell of these; None for all. Raises `UserError` for a name that none has."""
    there = sorted(path.stem for path in folder.glob("*.log"))
    if not there:
        raise _no_logs(folder)
    if not names:
        return None
    # One that is hosted tells in its host's log.
    asked = {name: CONSUMERS[name].reader if name in CONSUMERS else name for name in names}
    if unknown := [name for name, process in asked.items() if process not in there and name not in CONSUMERS]:
        raise UserError(f"no process in {folder} is called {', '.join(unknown)}", f"one of: {', '.join(there)}")
    for name, process in asked.items():
        if name != process:
            say(f"{name} runs in the process of {process}", file=sys.stderr)
    return frozenset(asked.values())


def _no_logs(folder: Path) -> UserError:
    demos = sorted(folder.parent.glob("demos/*/logs"))
    otherwise = f"; of the newest demo: TAKEAWAY_HOME={demos[-1].parent} takeaway logs" if demos else ""
    return UserError(
        f"there are no logs in {folder}",
        f"`takeaway up` starts what writes them{otherwise}. What runs elsewhere tells on its own standard error",
    )


def _wanted(begin: datetime | None, *, errors: bool) -> "Callable[[LogLine], bool]":
    return lambda line: (begin is None or line.at >= begin) and (line.is_trouble or not errors)


def _shows(as_json: bool) -> "Callable[[LogLine], None]":
    if as_json:
        return lambda line: say(line.text if line.told is not None else _as_json(line))
    from takeaway.logs import LineShown

    shown, console = LineShown(), PlainConsole(highlight=False, soft_wrap=True)

    def show(line: "LogLine") -> None:
        for text in shown(line):
            console.print(text)

    return show


def _as_json(line: "LogLine") -> str:
    """Words of another program, so that all lines are JSON."""
    return json.dumps({"at": piped(line.at), "process": line.process, "text": line.text})


def _show_all(lines: "Iterable[LogLine]", show: "Callable[[LogLine], None]") -> None:
    for line in lines:
        show(line)
    sys.stdout.flush()
