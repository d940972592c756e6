"""doctor: what this machine would work with, and whether it is well."""

import re
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from takeaway.commands.options import Json
from takeaway.errors import UserError
from takeaway.stack import DEFAULT, ENVIRONMENT, HOME, RUNNING, STACK
from takeaway.terminal import PlainConsole, counted, say, waiting

if TYPE_CHECKING:
    from takeaway.doctor import BackEnd, Checkup, Consumer, Disk, Problem, Process, Setting
    from takeaway.standing import ShardStanding

Rows = Sequence[Sequence[str]]
# Rows under a heading each; under none where it is empty.
Groups = Sequence[tuple[str, Rows]]


# What is to be typed is within backticks.
_COMMAND = re.compile(r"`[^`]*`")
_NO_BREAK = "\N{NO-BREAK SPACE}"
_WIDEST = 100
# So many last digits of a place on the stream tell two places apart; --json has all of them.
_DIGITS = 8
# A worker's id is its machine's name and twelve random digits.
_OWNER = 16


def doctor(
    every_setting: Annotated[bool, typer.Option("--all", help="Also show the settings that are at their default.")] = (
        False
    ),
    lease_table: Annotated[
        list[str] | None,
        typer.Option(help="Also look at this lease table: of any KCL application that reads the stream. A minute."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Examine settings, processes, back end, stack, consumers, dead letters and lake; name what is wrong, with a fix.

    Problems first, facts after: ✓ marks what moves or has nothing to do. Changes nothing. Exit 1 when there is a
    problem, 2 when there is nothing to examine.

    Example: takeaway doctor --json | jq .problems
    """
    import msgspec

    from takeaway.doctor import examine, examined_sources, findings, warnings

    with waiting("examining"):
        checkup = examine(examined_sources(HOME), lease_tables=lease_table or ())
    problems, warned = findings(checkup), warnings(checkup)
    if as_json:
        verdicts = [
            {"consumer": one.name, "shard_id": shard.shard_id, **msgspec.to_builtins(one.judged(shard))}
            for one in checkup.consumers
            for shard in one.shards
        ]
        told = {"ok": not problems, "problems": problems, "warnings": warned, "verdicts": verdicts}
        say(msgspec.json.encode({**told, **msgspec.to_builtins(checkup)}).decode())
    else:
        console = PlainConsole(highlight=False, soft_wrap=True)
        _show_problems(checkup, problems, warned, console)
        _show_facts(checkup, problems, warned, console, every_setting=every_setting)
    if checkup.back_end is None and not checkup.processes:
        nobody = checkup.unsettled[0]
        raise UserError(nobody.what, nobody.fix)
    raise typer.Exit(1 if problems else 0)


def _show_problems(
    checkup: "Checkup", problems: "Sequence[Problem]", warned: "Sequence[Problem]", console: PlainConsole
) -> None:
    if checkup.back_end is None and not checkup.processes:
        # Why is told at the end, as what ends any command.
        problems = [problem for problem in problems if problem not in checkup.unsettled]
        console.print("nothing to examine", style="bold red")
    elif problems:
        where = ", ".join(dict.fromkeys(problem.section for problem in problems))
        console.print(f"{counted(len(problems), 'problem')}: {where}", style="bold red")
    else:
        console.print("no problems" + (f", {counted(len(warned), 'warning')}" if warned else ""), style="bold green")
    for label, style, some in (("problem", "bold red", problems), ("warning", "bold yellow", warned)):
        for one in some:
            console.print()
            _print_hanging(f"{label}: ", style, one.what, console)
            _print_hanging("    fix: ", "bold yellow", one.fix, console)
    console.print()


def _print_hanging(label: str, style: str, text: str, console: PlainConsole) -> None:
    """Broken at spaces to the terminal's width, but never within a command: that is to be copied whole."""
    whole = _COMMAND.sub(lambda command: command[0].replace(" ", _NO_BREAK), text)
    width = min(console.width, _WIDEST)
    lines = textwrap.wrap(whole, width - len(label), break_long_words=False, break_on_hyphens=False)
    for number, line in enumerate(lines or [""]):
        start = (label, style) if number == 0 else " " * len(label)
        console.print(Text.assemble(start, line.replace(_NO_BREAK, " ")))


def _show_facts(
    checkup: "Checkup",
    problems: "Sequence[Problem]",
    warned: "Sequence[Problem]",
    console: PlainConsole,
    *,
    every_setting: bool,
) -> None:
    from takeaway.doctor import Section, capacity_rows, lake_rows, letter_rows, order_rows

    resources = [(one.kind, _short(one.name), _detail(one.there, one.detail)) for one in checkup.resources]
    dead_letters = [row for letters in checkup.dead_letters for row in letter_rows(letters, checkup)]
    sections: list[tuple[str, Groups]] = [
        (Section.SETTINGS, _settings(checkup.settings, every_setting=every_setting)),
        (Section.MACHINE, [("", [_disk(one) for one in checkup.disks])]),
        (Section.PROCESSES, [("", [_process(one) for one in checkup.processes])]),
        (Section.BACK_END, [("", _back_end(checkup.back_end) if checkup.back_end else [])]),
        (Section.RESOURCES, [("", resources)]),
        (Section.CONSUMERS, [(consumer.name, _consumer(consumer)) for consumer in checkup.consumers]),
        (Section.ORDERS, [("", order_rows(checkup))]),
        (Section.CAPACITY, [("", capacity_rows(checkup))]),
        (Section.DEAD_LETTERS, [("", dead_letters)]),
        (Section.LAKE, [("", lake_rows(checkup))]),
    ]
    for title, groups in sections:
        if not any(heading or rows for heading, rows in groups):
            continue
        mark = ("✓ ", "green")
        if any(one.section == title for one in warned):
            mark = ("! ", "yellow")
        if any(one.section == title for one in problems):
            mark = ("✗ ", "red")
        console.print(Text.assemble(mark, (title, "bold")))
        _print_aligned(groups, console)
        console.print()


def _print_aligned(groups: Groups, console: PlainConsole) -> None:
    """Columns as wide as their widest cell, the last one as long as it is: nothing is cut.

    A row that is then too long for the terminal goes without the padding.
    """
    widths = [max(map(len, column)) for column in zip(*(row for _, rows in groups for row in rows), strict=True)]
    for heading, rows in groups:
        if heading:
            console.print(f"  {heading}")
        indent = "    " if heading else "  "
        for row in rows:
            *cells, last = row
            padded = "  ".join([*map(str.ljust, cells, widths), last]).rstrip()
            start = len(padded) - len(last)
            if console.is_terminal and len(indent) + len(padded) > console.width:
                padded = "  ".join(filter(None, row))
                start = len(padded) - len(last)
            console.print(Text.assemble(indent, padded[:start], (padded[start:], "dim")))


def _settings(settings: "Sequence[Setting]", *, every_setting: bool) -> Groups:
    sources = dict.fromkeys(one.source for one in settings if one.source != DEFAULT)
    groups: dict[str, list[Sequence[str]]] = {
        f"from the {source}" if source in {ENVIRONMENT, RUNNING, STACK} else f"in {source}": [
            (one.name, one.value) for one in settings if one.source == source
        ]
        for source in sources
    }
    defaults = [(one.name, one.value) for one in settings if one.source == DEFAULT]
    if every_setting:
        groups["by default"] = [*defaults]
    elif defaults:
        groups[f"and {counted(len(defaults), 'default')}: --all shows them"] = []
    return list(groups.items())


def _process(process: "Process") -> Sequence[str]:
    state = "up" if process.up else "ended"
    if process.frozen:
        state = "frozen"
    elif process.trouble is not None:
        state = "up, does not serve"
    return (process.name, f"pid {process.pid}", state)


def _disk(disk: "Disk") -> Sequence[str]:
    from takeaway.doctor import size_in_words

    return (disk.folder, f"{size_in_words(disk.free_bytes)} left" if disk.trouble is None else disk.trouble)


def _back_end(back_end: "BackEnd") -> Rows:
    where = "local" if back_end.local else "not local"
    took = f"{back_end.seconds * 1000:.0f} ms"
    rows = [(back_end.endpoint, where, f"answers in {took}" if back_end.trouble is None else f"silent after {took}")]
    if back_end.clock_ahead_seconds is not None:
        ahead = round(back_end.clock_ahead_seconds)
        apart = f"{abs(ahead)} s {'behind' if ahead > 0 else 'ahead of'} ours" if ahead else "agrees with ours"
        rows.append(("its clock", "", apart))
    return rows


def _short(name: str) -> str:
    """The last part of an ARN or URL; the settings have all of it."""
    return name.rpartition("/")[2].rpartition(":")[2]


def _detail(there: bool | None, detail: str) -> str:
    return detail or {True: "there", False: "missing", None: "unknown"}[there]


def _consumer(consumer: "Consumer") -> Rows:
    if consumer.trouble is not None:
        return [("unknown", "", "", "", "")]
    if not consumer.ran:
        waiting = "records wait" if any(shard.unread for shard in consumer.shards) else "nothing to read"
        return [("never ran", waiting, "", "", "")]
    if not consumer.shards:
        return [("has taken no shard", "", "", "", "")]
    return [
        (
            shard.shard_id,
            consumer.judged(shard).verdict.value,
            _reader(shard),
            _lag(shard),
            _position(shard.checkpoint) if shard.unread else "",
        )
        for shard in consumer.shards
    ]


def _reader(shard: "ShardStanding") -> str:
    if shard.finished:
        return "read to its end"
    if shard.waits_for:
        return f"waits for {', '.join(shard.waits_for)}"
    if shard.owner is None:
        return "read by nobody"
    return {True: "read by", False: "left by", None: "held by"}[shard.renewed] + f" {_shortened(shard.owner)}"


def _shortened(owner: str) -> str:
    """A worker's id ends with what tells it apart; --json has all of it."""
    return owner if len(owner) <= _OWNER else f"…{owner[1 - _OWNER :]}"


def _position(checkpoint: str) -> str:
    from foundation.kinesis import Sentinel

    places = {
        Sentinel.TRIM_HORIZON.value: "from the beginning",
        Sentinel.LATEST.value: "from the newest record on",
        Sentinel.AT_TIMESTAMP.value: "from a set time on",
        Sentinel.SHARD_END.value: "",
    }
    return places.get(checkpoint, f"at …{checkpoint[-_DIGITS:]}")


def _lag(shard: "ShardStanding") -> str:
    if shard.finished or shard.unread is False:
        return "up to date"
    if shard.unread is None:
        return f"lag unknown{f' ({shard.unseen})' if shard.unseen else ''}"
    return f"unread for {shard.waiting_seconds or 0:,.1f} s"
