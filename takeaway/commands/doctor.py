"""doctor: what this machine would work with, and whether it is well."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.text import Text

from takeaway.commands.options import Json
from takeaway.environment import endpoint_sources

if TYPE_CHECKING:
    from takeaway.checkup import Checkup, Consumer, DeadLetters, Problem, ShardReading

Rows = Sequence[Sequence[str]]


def doctor(as_json: Json = False) -> None:
    """Examine settings, back end, stack, consumers, dead letters and lake; say what is wrong and what to do about it.

    Changes nothing. Exit 1 when there is a problem, 2 when there is nothing to examine.

    Example: takeaway doctor --json | jq .problems
    """
    import msgspec

    from takeaway.doctor import findings
    from takeaway.examination import examine

    with Console(stderr=True).status("examining"):
        checkup = examine(endpoint_sources())
    problems = findings(checkup)
    if as_json:
        facts = {"ok": not problems, "problems": problems, **msgspec.to_builtins(checkup)}
        print(msgspec.json.encode(facts).decode())
    else:
        _show(checkup, problems, Console(highlight=False, soft_wrap=True))
    raise typer.Exit(1 if problems else 0)


def _show(checkup: "Checkup", problems: "Sequence[Problem]", console: Console) -> None:
    from takeaway import checkup as facts

    sections: list[tuple[str, Rows]] = [
        (facts.SETTINGS, [(one.name, one.value, one.source) for one in checkup.settings]),
        (facts.BACK_END, _back_end(checkup)),
        (facts.RESOURCES, [(one.kind, one.name, _detail(one.there, one.detail)) for one in checkup.resources]),
        (facts.CONSUMERS, [row for consumer in checkup.consumers for row in _consumer(consumer)]),
        (facts.CAPACITY, _capacity(checkup)),
        (facts.DEAD_LETTERS, [row for letters in checkup.dead_letters for row in _dead_letters(letters, checkup)]),
        (facts.LAKE, _lake(checkup)),
    ]
    for title, rows in sections:
        wrong = [problem for problem in problems if problem.section == title]
        if not rows and not wrong:
            continue
        mark = ("✗ ", "red") if wrong else ("✓ ", "green")
        console.print(Text.assemble(mark, (title, "bold")))
        _print_aligned(rows, console)
        for problem in wrong:
            console.print(Text.assemble("  ", ("problem: ", "bold red"), problem.what))
            console.print(Text.assemble("      ", ("fix: ", "bold yellow"), problem.fix))
        console.print()
    if problems:
        console.print(f"{len(problems)} problem{'' if len(problems) == 1 else 's'}", style="bold red")
    else:
        console.print("no problems", style="bold green")


def _print_aligned(rows: Rows, console: Console) -> None:
    """Columns as wide as their widest cell, the last one as long as it is: nothing is cut or wrapped in a pipe."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        *cells, last = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        console.print(Text.assemble("  ", "  ".join(cells), "  ", (last.rstrip(), "dim")))


def _back_end(checkup: "Checkup") -> Rows:
    back_end = checkup.back_end
    where = "local" if back_end.local else "not local"
    took = f"{back_end.seconds * 1000:.0f} ms"
    rows = [(back_end.endpoint, where, f"answers in {took}" if back_end.trouble is None else f"silent after {took}")]
    if back_end.clock_ahead_seconds is not None:
        rows.append(("this machine's clock", "to its own", f"{round(back_end.clock_ahead_seconds):+} s"))
    return rows


def _detail(there: bool | None, detail: str) -> str:
    return detail or {True: "there", False: "missing", None: "unknown"}[there]


def _consumer(consumer: "Consumer") -> Rows:
    if consumer.trouble is not None:
        return [(consumer.name, "", "", "", "unknown")]
    if not consumer.ran:
        waiting = "records wait" if any(shard.unread for shard in consumer.shards) else "nothing to read"
        return [(consumer.name, "", "never ran", waiting, f"no lease table {consumer.lease_table}")]
    if not consumer.shards:
        return [(consumer.name, "", "no leases", "", f"in lease table {consumer.lease_table}")]
    return [
        (consumer.name, shard.shard_id, _heartbeat(shard), _lag(shard), f"at {shard.checkpoint}")
        for shard in consumer.shards
    ]


def _heartbeat(shard: "ShardReading") -> str:
    if shard.finished:
        return "finished"
    if shard.owner is None:
        return "nobody's"
    return f"{shard.owner} " + {True: "renews", False: "does not renew", None: "not watched"}[shard.renewed]


def _lag(shard: "ShardReading") -> str:
    if shard.finished or shard.unread is False:
        return "up to date"
    if shard.unread is None:
        return f"lag unknown{f' ({shard.trouble})' if shard.trouble else ''}"
    return f"unread for {shard.waiting_seconds or 0:,.1f} s"


def _capacity(checkup: "Checkup") -> Rows:
    from takeaway.doctor import READ_BYTES_PER_SECOND, megabytes

    limit = f"of {megabytes(READ_BYTES_PER_SECOND)} a second to read"
    pollers = sum(consumer.reads for consumer in checkup.consumers)
    rows = []
    for one in checkup.rates:
        rate = one.bytes_per_second
        if rate is None:
            rows.append((one.shard_id, "in-rate unknown", ""))
        else:
            told = f"times {pollers} polling applications, {limit}"
            rows.append((one.shard_id, f"{megabytes(rate)} a second in", told))
    return rows


def _dead_letters(letters: "DeadLetters", checkup: "Checkup") -> Rows:
    if letters.trouble is not None:
        return [(letters.consumer, "unknown", "")]
    if not letters.count:
        return [(letters.consumer, "none", "")]
    newest = f"newest {_ago(letters.newest_at, checkup)}"
    among = "" if letters.looked_at == letters.count else f"of the newest {letters.looked_at}: "
    kinds = ", ".join(f"{count} {kind}" for kind, count in letters.kinds)
    return [(letters.consumer, f"{letters.count:,}{' and more' if letters.more else ''}", f"{among}{kinds}; {newest}")]


def _lake(checkup: "Checkup") -> Rows:
    lake = checkup.lake
    if lake is None:
        return []
    if lake.trouble is not None:
        return [(lake.where, "unknown")]
    if lake.version is None:
        return [(lake.where, "no lake yet: the archiver has committed nothing")]
    newest = f", newest file {_ago(lake.newest_file_at, checkup)}" if lake.newest_file_at else ", no files"
    return [(lake.where, f"version {lake.version}, {lake.rows:,} rows{newest}")]


def _ago(then: datetime | None, checkup: "Checkup") -> str:
    if then is None:
        return "unknown"
    seconds = max(0.0, (checkup.examined_at - then).total_seconds())
    for unit, length in (("days", 172_800), ("h", 7200), ("min", 120)):
        if seconds >= length:
            return f"{seconds / {'days': 86_400, 'h': 3600, 'min': 60}[unit]:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"
