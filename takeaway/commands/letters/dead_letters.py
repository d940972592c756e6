"""dlq ls, show, redrive: records that a consumer could not process, and the way back."""

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from foundation.clock import SYSTEM_CLOCK
from foundation.diagnostics import Emit, json_lines
from foundation.settings import from_environment
from takeaway.commands import completing
from takeaway.commands.options import Json, confirm, stop_on_signal
from takeaway.errors import UserError
from takeaway.stack import resolved
from takeaway.terminal import PlainConsole, Tell, counted, piped, say, show_rows, waiting
from takeaway.terminal.letters import GroupBy, by_record, facts, grouped
from takeaway.terminal.masking import masked_text
from takeaway.terminal.payloads import payload

if TYPE_CHECKING:
    from consumers.dead_letters import S3DeadLetters, StoredLetter
    from consumers.redrive import GivesAgain, Summary

MOST_NAMED = 5
NONE = "no dead letters"
_LISTED = ("key", "consumers", "event_type", "age_seconds", "attempts", "error", "stack_hash")
_LISTED_DROPPED = ("key", "consumers", "event_type", "error", "dropped_at", "reason")
# Of letters that are looked at, so many, or so many bytes of them, are in memory at once.
_TOGETHER = 500
_MOST_BYTES = 32 * 1024 * 1024
_MOST_SHOWN = 20

OfConsumer = Annotated[
    str | None,
    typer.Option("--consumer", help="Only the letters of this consumer.", autocompletion=completing.consumers),
]
OfError = Annotated[str | None, typer.Option(help="Only letters with this stack hash, as `dlq ls` shows it.")]
Keys = Annotated[
    list[str] | None,
    typer.Argument(help="Keys as `dlq ls` shows them, or as much of their beginnings as no other has."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would happen; change nothing.")]


def ls(
    consumer: OfConsumer = None,
    group_by: Annotated[GroupBy | None, typer.Option(help="Count the records that have this in common.")] = None,
    dropped: Annotated[bool, typer.Option("--dropped", help="Those that were dropped, with when and why.")] = False,
    as_json: Json = False,
) -> None:
    """List the records that were set apart, with who did, age, attempts and error; or count them by their cause.

    Example: takeaway dlq ls --group-by error
    """
    letters = of_stack(resolved())
    now = SYSTEM_CLOCK.now()
    with waiting("reading the letters") as tell:
        found = _told(readable(letters, keys_of(letters, consumer, dropped=dropped)), tell)
        rows = grouped((stored.letter for stored in found), group_by) if group_by else by_record(found, now)
    if as_json:
        say(json.dumps(rows, default=piped))
    elif rows:
        listed = _LISTED_DROPPED if dropped else _LISTED
        show_rows(tuple(rows[0]) if group_by else listed, [_readable_row(row) for row in rows], PlainConsole())
    else:
        say(NONE)


def _told(letters: "Iterable[StoredLetter]", tell: Tell) -> "Iterator[StoredLetter]":
    for number, letter in enumerate(letters, start=1):
        yield letter
        tell(f"{number:,} so far")


def show(
    key: Annotated[str, typer.Argument(help="The key, or as much of its beginning as no other has.")],
    raw: Annotated[bool, typer.Option("--raw", help="Do not mask customers' names and addresses.")] = False,
    as_json: Json = False,
) -> None:
    """Show one record that was set apart: where it was, why each consumer failed, and its payload. Dropped ones too.

    Example: takeaway dlq show takeaway-orders/shardId-000000000000/4960
    """
    letters, now = of_stack(resolved()), SYSTEM_CLOCK.now()
    keys = _matching(letters, key)
    stored = list(_required(letters, keys))
    told = [facts(one, now) | ({"error": one.letter.error} if raw else {}) for one in stored]
    inside = payload(stored[0].letter.payload, raw=raw)
    if as_json:
        say(json.dumps({**told[0], "others": told[1:], "payload": inside}, default=piped))
        return
    width = max(map(len, told[0])) + 1
    for one in told:
        # Of the other consumers only what is different.
        for name, value in one.items():
            if one is told[0] or value != told[0].get(name):
                say(f"{name + ':':{width}} {piped(value)}")
        say()
    say("payload:")
    say(inside if isinstance(inside, str) else json.dumps(inside, indent=2))


def redrive(
    keys: Keys = None,
    consumer: OfConsumer = None,
    error: OfError = None,
    dry_run: DryRun = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask, wherever the letters are.")] = False,
    as_json: Json = False,
) -> None:
    """Give dead letters again to the consumers that failed on them, and to nobody else. Exit 1 when any is left.

    Ten first; the others only when all of those went well. A letter that goes well is removed, after its effect; one
    that fails again stays, with the new error. What came later in the same orders has long been done.

    Example: takeaway dlq redrive --consumer restaurant_notifier --dry-run
    """
    environ = resolved()
    letters = of_stack(environ)
    of_consumers = _of_consumers(chosen(letters, keys, consumer, error))
    if dry_run:
        rows = [row for name, some in of_consumers.items() for row in _prospects(name, environ, letters, some)]
        _tell_prospects(rows, as_json)
        return
    count = sum(map(len, of_consumers.values()))
    _confirm(environ, count, yes)
    with bar("redriving", count) as (advance, emit):
        summaries = _redriven(environ, letters, of_consumers, advance, emit)
    _tell(summaries, as_json)
    raise typer.Exit(0 if all(summary.ok for summary in summaries.values()) else 1)


def of_stack(environ: Mapping[str, str]) -> "S3DeadLetters":
    from analytics.assembly import customer_keys
    from consumers.assembly import dead_letters
    from consumers.settings import ConsumerSettings

    return dead_letters(environ, from_environment(ConsumerSettings, environ), customer_keys(environ))


def keys_of(letters: "S3DeadLetters", consumer: str | None, *, dropped: bool = False) -> list[str]:
    from consumers.dead_letters import DROPPED

    return letters.keys(f"{DROPPED if dropped else ''}{consumer}/" if consumer else DROPPED if dropped else "")


def readable(letters: "S3DeadLetters", keys: Iterable[str]) -> "Iterator[StoredLetter]":
    """What lies there and is no letter is told: the first few by name, all of them by number."""
    from consumers.dead_letters import NoLetter

    unreadable = 0
    for _, found in letters.read_all(keys):
        if isinstance(found, NoLetter):
            unreadable += 1
            if unreadable <= MOST_NAMED:
                say(f"left out: {piped(str(found))}", file=sys.stderr)
        else:
            yield found
    if unreadable > MOST_NAMED:
        say(f"left out: {counted(unreadable - MOST_NAMED, 'more object')} that cannot be read", file=sys.stderr)


def chosen(
    letters: "S3DeadLetters",
    keys: Sequence[str] | None,
    consumer: str | None,
    error: str | None,
    *,
    dropped: bool = False,
) -> list[str]:
    """The keys that a command is asked for; of dropped letters those that they had before. Raises `UserError`."""
    from consumers.dead_letters import living

    there = keys_of(letters, consumer, dropped=dropped)
    found = [key for name in keys for key in matching(there, name)] if keys else there
    if error is not None:
        found = [
            key
            for key, stored in letters.read_all(dict.fromkeys(found))
            if error == getattr(getattr(stored, "letter", None), "stack_hash", None)
        ]
    if not found and (keys or error):
        raise no_such_letter()
    return list(dict.fromkeys(map(living, found)))


def matching(there: Sequence[str], name: str) -> list[str]:
    """The keys of one record's letters, by as much of the record's or of a letter's key as no other has."""
    from consumers.dead_letters import living, record_of

    exact = [key for key in there if name in {key, living(key), record_of(key)}]
    found = exact or [
        key for key in there if any(known.startswith(name) for known in (key, living(key), record_of(key)))
    ]
    records = list(dict.fromkeys(map(record_of, found)))
    if not records:
        raise no_such_letter()
    if len(records) > 1:
        named = piped(", ".join(records[:MOST_NAMED])) + (", ..." if len(records) > MOST_NAMED else "")
        raise UserError(f"{counted(len(records), 'dead letter')} begin with {name!r}: {named}", "name more of the key")
    return found


def no_such_letter() -> UserError:
    return UserError(
        "there is no such dead letter",
        "`takeaway dlq ls` shows those there are, `takeaway dlq ls --dropped` the others; --error takes a stack_hash",
    )


@contextmanager
def bar(what: str, count: int) -> Iterator[tuple[Callable[[int], None], Emit]]:
    """A bar on a terminal, and no lines in its way; without one, a JSON line for each happening."""
    console = PlainConsole(stderr=True)
    if not console.is_terminal:
        yield (lambda _: None), json_lines("dlq")
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(what, total=count)
        yield (lambda done: progress.advance(task, done)), (lambda _: None)


def _readable_row(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: ", ".join(value) if isinstance(value, list) else value for name, value in row.items()}


def _matching(letters: "S3DeadLetters", name: str) -> list[str]:
    """Of those that are there, or else of those that were dropped."""
    try:
        return matching(keys_of(letters, None), name)
    except UserError as error:
        if dropped := keys_of(letters, None, dropped=True):
            try:
                return matching(dropped, name)
            except UserError as other:
                raise (other if "begin" in other.what else error) from None
        raise


def _required(letters: "S3DeadLetters", keys: Sequence[str]) -> "Iterator[StoredLetter]":
    """Those that can be read. Raises `UserError` when none can, with why."""
    from consumers.dead_letters import NoLetter

    found = [one for _, one in letters.read_all(keys)]
    if not found:
        raise no_such_letter()
    unreadable = [one for one in found if isinstance(one, NoLetter)]
    if len(unreadable) == len(found):
        raise UserError(piped(unreadable[0].what), unreadable[0].fix)
    yield from (one for one in found if not isinstance(one, NoLetter))


def _of_consumers(keys: Sequence[str]) -> dict[str, list[str]]:
    from consumers.specs import CONSUMERS

    of_consumers: dict[str, list[str]] = {}
    for key in keys:
        of_consumers.setdefault(key.partition("/")[0], []).append(key)
    if unknown := of_consumers.keys() - CONSUMERS.keys():
        raise UserError(
            f"there are letters of {piped(', '.join(sorted(unknown)))}, which no consumer here is called",
            "redrive them with the deployment that has it, or `takeaway dlq drop` them; --consumer leaves them out, "
            f"one of: {', '.join(CONSUMERS)}",
        )
    return of_consumers


def _prospects(
    consumer: str, environ: Mapping[str, str], letters: "S3DeadLetters", keys: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """What a redrive would find: whether the contract has it by now, and whether its effect is remembered."""
    from consumers.assembly import redriver
    from consumers.redrive import CANARIES, in_order

    way = redriver(consumer, environ, stop_on_signal().wait, json_lines("redrive"))
    index = 0
    for some in _in_parts(readable(letters, in_order(keys))):
        done_before = way.done_before([stored.letter for stored in some])
        for stored in some:
            key = stored.letter.key
            reads = _reads(stored)
            yield {"key": key, "reads": reads, "done_before": key in done_before, "canary": index < CANARIES}
            index += 1


def _in_parts(stored: "Iterable[StoredLetter]") -> "Iterator[list[StoredLetter]]":
    """Some letters at a time, fewer when they are large."""
    part: list[StoredLetter] = []
    size = 0
    for one in stored:
        part.append(one)
        size += len(one.letter.payload)
        if len(part) == _TOGETHER or size > _MOST_BYTES:
            yield part
            part, size = [], 0
    if part:
        yield part


def _reads(stored: "StoredLetter") -> str:
    from events import UnreadableEvent, decode

    try:
        return decode(stored.letter.payload).event_type
    except UnreadableEvent as error:
        return f"unreadable: {error}"


def _tell_prospects(rows: Sequence[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        say(json.dumps(rows))
        return
    if not rows:
        say(NONE)
        return
    show_rows(tuple(rows[0]), rows, PlainConsole())
    canaries, done = sum(row["canary"] for row in rows), sum(row["done_before"] for row in rows)
    say(
        f"would redrive {counted(len(rows), 'letter')}, {canaries} of them first; "
        f"{done} had their effect before and would not have it again. "
        "What came later in the same orders may have been done long ago. Nothing was changed."
    )


def _confirm(environ: Mapping[str, str], count: int, yes: bool) -> None:
    where = environ.get("AWS_ENDPOINT_URL") or "AWS"
    otherwise = f"this redrive, and the mail it causes, would reach {where}"
    confirm(environ, f"Redrive {counted(count, 'letter')} on {where}?", yes=yes, otherwise=otherwise)


def _redriven(
    environ: Mapping[str, str],
    letters: "S3DeadLetters",
    of_consumers: dict[str, list[str]],
    advance: Callable[[int], None],
    emit: Emit,
) -> "dict[str, Summary]":
    from consumers.assembly import redriver
    from consumers.redrive import Redrive
    from foundation.ids import random_id

    wait = stop_on_signal().wait

    def of(consumer: str, keys: Sequence[str]) -> "Summary":
        way: GivesAgain = redriver(consumer, environ, wait, emit)
        redrive = Redrive(letters, way, clock=SYSTEM_CLOCK, wait=wait, new_id=random_id, emit=emit)
        return redrive.run(keys, advance)

    return {consumer: of(consumer, keys) for consumer, keys in of_consumers.items()}


def _tell(summaries: "Mapping[str, Summary]", as_json: bool) -> None:
    from consumers.redrive import Fate

    counts: Counter[str] = Counter()
    for summary in summaries.values():
        counts.update({fate.value: count for fate, count in summary.counts.items()})
    stopped_by = [f"{name}: {summary.stopped_by}" for name, summary in summaries.items() if summary.stopped_by]
    left = [
        {"key": one.key, "fate": one.fate.value, "why": masked_text(one.why or "")}
        for summary in summaries.values()
        for one in summary.letters
        if one.fate not in {Fate.DONE, Fate.GONE}
    ]
    if as_json:
        say(json.dumps({"counts": counts, "stopped_by": stopped_by, "left": left}))
        return
    show_left([one for one in left if one["fate"] != Fate.NOT_TRIED.value])
    for why in stopped_by:
        say(f"stopped: {why}")
    say(" · ".join(f"{count:,} {fate}" for fate, count in counts.items()) or NONE)


def show_left(left: Sequence[dict[str, Any]]) -> None:
    """On a terminal the first twenty: thousands would push away what they end with."""
    console = PlainConsole()
    some = left[:_MOST_SHOWN] if console.is_terminal else left
    if some:
        show_rows(tuple(some[0]), some, console)
    if len(some) < len(left):
        say(f"... and {counted(len(left) - len(some), 'more letter')}; --json tells all")
