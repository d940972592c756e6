"""doctor: what this machine would work with, and whether it is well."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from takeaway.commands.options import Json
from takeaway.errors import UserError
from takeaway.stack import DEFAULT, ENVIRONMENT, RUNNING, STACK, endpoint_sources
from takeaway.terminal import PlainConsole, counted, roughly, say

if TYPE_CHECKING:
    from takeaway.doctor import BackEnd, Checkup, Consumer, DeadLetters, Problem, Process, Setting, ShardReading

Rows = Sequence[Sequence[str]]
# Rows under a heading each; under none where it is empty.
Groups = Sequence[tuple[str, Rows]]


# So many last digits of a place on the stream tell two places apart; --json has all of them.
_DIGITS = 8


def doctor(
    every_setting: Annotated[bool, typer.Option("--all", help="Also show the settings that are at their default.")] = (
        False
    ),
    as_json: Json = False,
) -> None:
    """Examine settings, processes, back end, stack, consumers, dead letters and lake; name what is wrong, with a fix.

    Changes nothing. Exit 1 when there is a problem, 2 when there is nothing to examine.

    Example: takeaway doctor --json | jq .problems
    """
    import msgspec

    from takeaway.doctor import examine, findings

    with PlainConsole(stderr=True).status("examining"):
        checkup = examine(endpoint_sources())
    problems = findings(checkup)
    if as_json:
        facts = {"ok": not problems, "problems": problems, **msgspec.to_builtins(checkup)}
        say(msgspec.json.encode(facts).decode())
    else:
        _show(checkup, problems, PlainConsole(highlight=False, soft_wrap=True), every_setting=every_setting)
    if checkup.back_end is None:
        (nobody,) = checkup.unsettled
        raise UserError(nobody.what, nobody.fix)
    raise typer.Exit(1 if problems else 0)


def _show(checkup: "Checkup", problems: "Sequence[Problem]", console: PlainConsole, *, every_setting: bool) -> None:
    from takeaway.doctor import Section

    resources = [(one.kind, _short(one.name), _detail(one.there, one.detail)) for one in checkup.resources]
    dead_letters = [row for letters in checkup.dead_letters for row in _dead_letters(letters, checkup)]
    sections: list[tuple[str, Groups]] = [
        (Section.SETTINGS, _settings(checkup.settings, every_setting=every_setting)),
        (Section.PROCESSES, [("", [_process(one) for one in checkup.processes])]),
        (Section.BACK_END, [("", _back_end(checkup.back_end) if checkup.back_end else [])]),
        (Section.RESOURCES, [("", resources)]),
        (Section.CONSUMERS, [(consumer.name, _consumer(consumer)) for consumer in checkup.consumers]),
        (Section.CAPACITY, [("", _capacity(checkup))]),
        (Section.DEAD_LETTERS, [("", dead_letters)]),
        (Section.LAKE, [("", _lake(checkup))]),
    ]
    if checkup.back_end is None:
        # Why is told at the end, as what ends any command.
        problems = [problem for problem in problems if problem not in checkup.unsettled]
        console.print("nothing to examine", style="bold red")
    elif problems:
        where = ", ".join(dict.fromkeys(problem.section for problem in problems))
        console.print(f"{counted(len(problems), 'problem')}: {where}", style="bold red")
    else:
        console.print("no problems", style="bold green")
    console.print()
    for title, groups in sections:
        wrong = [problem for problem in problems if problem.section == title]
        if not any(heading or rows for heading, rows in groups) and not wrong:
            continue
        mark = ("✗ ", "red") if wrong else ("✓ ", "green")
        console.print(Text.assemble(mark, (title, "bold")))
        _print_aligned(groups, console)
        for problem in wrong:
            console.print(Text.assemble("  ", ("problem: ", "bold red"), problem.what))
            console.print(Text.assemble("      ", ("fix: ", "bold yellow"), problem.fix))
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
    state = "ended" if not process.up else "up" if process.trouble is None else "up, does not serve"
    return (process.name, f"pid {process.pid}", state)


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
        return [("unknown", "", "", "")]
    if not consumer.ran:
        waiting = "records wait" if any(shard.unread for shard in consumer.shards) else "nothing to read"
        return [("never ran", waiting, "", "")]
    if not consumer.shards:
        return [("has taken no shard", "", "", "")]
    return [
        (shard.shard_id, _reader(shard), _lag(shard), _position(shard.checkpoint) if shard.unread else "")
        for shard in consumer.shards
    ]


def _reader(shard: "ShardReading") -> str:
    if shard.finished:
        return "read to its end"
    if shard.owner is None:
        return "read by nobody"
    return {True: "read by", False: "left by", None: "held by"}[shard.renewed] + f" {shard.owner}"


def _position(checkpoint: str) -> str:
    from foundation.kinesis import Sentinel

    places = {
        Sentinel.TRIM_HORIZON.value: "from the beginning",
        Sentinel.LATEST.value: "from the newest record on",
        Sentinel.AT_TIMESTAMP.value: "from a set time on",
        Sentinel.SHARD_END.value: "",
    }
    return places.get(checkpoint, f"at …{checkpoint[-_DIGITS:]}")


def _lag(shard: "ShardReading") -> str:
    if shard.finished or shard.unread is False:
        return "up to date"
    if shard.unread is None:
        return f"lag unknown{f' ({shard.trouble})' if shard.trouble else ''}"
    return f"unread for {shard.waiting_seconds or 0:,.1f} s"


def _capacity(checkup: "Checkup") -> Rows:
    from foundation.kinesis import READ_BYTES_PER_SECOND
    from takeaway.doctor import megabytes

    readers = sum(consumer.reads for consumer in checkup.consumers)
    rows = []
    for one in checkup.rates:
        rate = one.bytes_per_second
        if rate is None:
            rows.append((one.shard_id, "unknown what comes in", ""))
        else:
            read = f"read by {counted(readers, 'consumer')}, {rate * readers / READ_BYTES_PER_SECOND:.0%} of its limit"
            rows.append((one.shard_id, f"{megabytes(rate)} a second", read if readers else "read by nobody"))
    return rows


def _dead_letters(letters: "DeadLetters", checkup: "Checkup") -> Rows:
    if letters.trouble is not None:
        return [(letters.consumer, "unknown", "")]
    if not letters.count:
        return [(letters.consumer, "none", "")]
    newest = f"newest {_ago(letters.newest_at, checkup)}"
    among = "" if letters.looked_at == letters.count else f"of the newest {letters.looked_at}: "
    kinds = ", ".join(f"{count} {kind}" for kind, count in letters.kinds)
    return [(letters.consumer, f"{letters.count:,}{' and more' * letters.more}", f"{among}{kinds}; {newest}")]


def _lake(checkup: "Checkup") -> Rows:
    lake = checkup.lake
    if lake is None:
        return []
    if lake.trouble is not None:
        return [(lake.where,), ("unknown",)]
    if lake.version is None:
        return [(lake.where,), ("no lake yet: the archiver has committed nothing",)]
    newest = f", newest file {_ago(lake.newest_file_at, checkup)}" if lake.newest_file_at else ", no files"
    return [(lake.where,), (f"{counted(lake.rows, 'row')} in version {lake.version}{newest}",)]


def _ago(then: datetime | None, checkup: "Checkup") -> str:
    if then is None:
        return "unknown"
    return f"{roughly(max(timedelta(), checkup.examined_at - then))} ago"
