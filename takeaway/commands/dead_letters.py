"""dlq ls, show, redrive: records that a consumer could not process, and the way back."""

import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from foundation.clock import SYSTEM_CLOCK
from foundation.diagnostics import json_lines
from foundation.settings import from_environment
from takeaway.commands.options import Json, confirm, stop_on_signal
from takeaway.errors import UserError
from takeaway.stack import resolved
from takeaway.terminal import PlainConsole, counted, piped, say, show_rows
from takeaway.terminal.letters import GroupBy, error_text, facts, grouped, payload

if TYPE_CHECKING:
    from consumers.dead_letters import S3DeadLetters, StoredLetter
    from consumers.redrive import Summary

MOST_NAMED = 5
NONE = "no dead letters"
_LISTED = ("key", "event_type", "age_seconds", "attempts", "error", "stack_hash")

OfConsumer = Annotated[str | None, typer.Option("--consumer", help="Only the letters of this consumer.")]


def ls(
    consumer: OfConsumer = None,
    group_by: Annotated[GroupBy | None, typer.Option(help="Count the letters that have this in common.")] = None,
    as_json: Json = False,
) -> None:
    """List the dead letters with age, attempts, error and place; or count them by their cause.

    Example: takeaway dlq ls --group-by error
    """
    letters = _letters(resolved())
    found = (stored.letter for stored in _read(letters, letters.keys(_prefix(consumer))))
    now = SYSTEM_CLOCK.now()
    rows = grouped(found, group_by) if group_by else [facts(letter, now) for letter in found]
    if as_json:
        say(json.dumps(rows, default=piped))
    elif rows:
        show_rows(tuple(rows[0]) if group_by else _LISTED, rows, PlainConsole())
    else:
        say(NONE)


def show(
    key: Annotated[str, typer.Argument(help="The letter's key, or as much of its beginning as no other has.")],
    raw: Annotated[bool, typer.Option("--raw", help="Do not mask customers' names and addresses.")] = False,
    as_json: Json = False,
) -> None:
    """Show one dead letter whole: where it was, why it failed, and its payload.

    Example: takeaway dlq show archiver/takeaway-orders/shardId-000000000000/4960
    """
    letters = _letters(resolved())
    stored = next(_read(letters, [_unique(letters, key)]), None)
    if stored is None:
        raise _no_such_letter()
    told = facts(stored.letter, SYSTEM_CLOCK.now()) | ({"error": stored.letter.error} if raw else {})
    inside = payload(stored.letter, raw=raw)
    if as_json:
        say(json.dumps({**told, "payload": inside}, default=piped))
        return
    width = max(map(len, told)) + 1
    for name, value in told.items():
        say(f"{name + ':':{width}} {piped(value)}")
    say("payload:")
    say(inside if isinstance(inside, str) else json.dumps(inside, indent=2))


def redrive(
    keys: Annotated[
        list[str] | None, typer.Argument(help="Keys, or as much of their beginnings as no other has.")
    ] = None,
    consumer: OfConsumer = None,
    error: Annotated[str | None, typer.Option(help="Only letters with this stack hash, as `dlq ls` shows it.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would happen; change nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask, wherever the letters are.")] = False,
    as_json: Json = False,
) -> None:
    """Give dead letters again to the consumer that failed on them, and to nobody else. Exit 1 when any is left.

    Ten first; the others only when all of those went well. A letter that goes well is removed, after its effect; one
    that fails again stays, with the new error. What came later in the same orders has long been done.

    Example: takeaway dlq redrive --consumer restaurant_notifier --dry-run
    """
    environ = resolved()
    letters = _letters(environ)
    chosen = list(_read(letters, _chosen(letters, keys, consumer)))
    if error is not None:
        chosen = [stored for stored in chosen if stored.letter.stack_hash == error]
    if not chosen and (keys or error):
        raise _no_such_letter()
    of_consumers = _of_consumers(chosen)
    if dry_run:
        _tell_prospects(
            [row for name, some in of_consumers.items() for row in _prospects(name, environ, some)], as_json
        )
        return
    _confirm(environ, len(chosen), yes)
    summaries = _redriven(environ, letters, of_consumers)
    _tell(summaries, as_json)
    raise typer.Exit(0 if all(summary.ok for summary in summaries) else 1)


def _letters(environ: Mapping[str, str]) -> "S3DeadLetters":
    from analytics.assembly import customer_keys
    from consumers.assembly import dead_letters
    from consumers.settings import ConsumerSettings

    return dead_letters(environ, from_environment(ConsumerSettings, environ), customer_keys(environ))


def _prefix(consumer: str | None) -> str:
    return f"{consumer}/" if consumer else ""


def _read(letters: "S3DeadLetters", keys: Sequence[str]) -> "Iterator[StoredLetter]":
    """What lies there and is no letter is told, and left alone."""
    from consumers.dead_letters import NoLetter

    for _, found in letters.read_all(keys):
        if isinstance(found, NoLetter):
            say(f"left out: {found}", file=sys.stderr)
        else:
            yield found


def _unique(letters: "S3DeadLetters", prefix: str) -> str:
    found = letters.keys(prefix)
    if prefix in found or len(found) == 1:
        return prefix if prefix in found else found[0]
    if not found:
        raise _no_such_letter()
    named = ", ".join(found[:MOST_NAMED]) + (", ..." if len(found) > MOST_NAMED else "")
    raise UserError(f"{counted(len(found), 'dead letter')} begin with {prefix!r}: {named}", "name more of the key")


def _no_such_letter() -> UserError:
    return UserError("there is no such dead letter", "`takeaway dlq ls` shows those there are")


def _chosen(letters: "S3DeadLetters", keys: Sequence[str] | None, consumer: str | None) -> list[str]:
    if not keys:
        return letters.keys(_prefix(consumer))
    named = dict.fromkeys(_unique(letters, key) for key in keys)
    return [key for key in named if key.startswith(_prefix(consumer))]


def _of_consumers(chosen: "Sequence[StoredLetter]") -> "dict[str, list[StoredLetter]]":
    from consumers.specs import CONSUMERS

    of_consumers: dict[str, list[StoredLetter]] = {}
    for stored in chosen:
        of_consumers.setdefault(stored.letter.consumer, []).append(stored)
    if unknown := of_consumers.keys() - CONSUMERS.keys():
        raise UserError(
            f"there are letters of {', '.join(sorted(unknown))}, which no consumer here is called",
            f"redrive them with the deployment that has it; --consumer leaves them out, one of: {', '.join(CONSUMERS)}",
        )
    return of_consumers


def _prospects(consumer: str, environ: Mapping[str, str], chosen: "Sequence[StoredLetter]") -> Iterator[dict[str, Any]]:
    """What a redrive would find: whether the contract has it by now, and whether its effect is remembered."""
    from consumers.assembly import redriver
    from consumers.redrive import CANARIES, in_order
    from events import UnreadableEvent, decode

    way = redriver(consumer, environ, stop_on_signal().wait, json_lines("redrive"))
    done_before = way.done_before([stored.letter for stored in chosen])
    for index, stored in enumerate(in_order(chosen)):
        try:
            reads = decode(stored.letter.payload).event_type
        except UnreadableEvent as error:
            reads = f"unreadable: {error}"
        key = stored.letter.key
        yield {"key": key, "reads": reads, "done_before": key in done_before, "canary": index < CANARIES}


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
    environ: Mapping[str, str], letters: "S3DeadLetters", of_consumers: "dict[str, list[StoredLetter]]"
) -> "list[Summary]":
    from consumers.assembly import redriver
    from consumers.redrive import Redrive
    from foundation.ids import random_id

    emit, wait = json_lines("redrive"), stop_on_signal().wait
    return [
        Redrive(
            letters,
            redriver(consumer, environ, wait, emit),
            clock=SYSTEM_CLOCK,
            wait=wait,
            new_id=random_id,
            emit=emit,
        ).run(chosen)
        for consumer, chosen in of_consumers.items()
    ]


def _tell(summaries: "Sequence[Summary]", as_json: bool) -> None:
    from consumers.redrive import Fate

    counts: Counter[str] = Counter()
    for summary in summaries:
        counts.update({fate.value: count for fate, count in summary.counts.items()})
    stopped_by = [str(summary.stopped_by) for summary in summaries if summary.stopped_by]
    left = [
        {"key": one.letter.key, "fate": one.fate.value, "why": one.why or error_text(one.letter)}
        for summary in summaries
        for one in summary.letters
        if one.fate not in {Fate.DONE, Fate.GONE}
    ]
    if as_json:
        say(json.dumps({"counts": counts, "stopped_by": stopped_by, "left": left}))
        return
    if left:
        show_rows(tuple(left[0]), left, PlainConsole())
    for why in stopped_by:
        say(f"stopped: {why}")
    say(" · ".join(f"{count:,} {fate}" for fate, count in counts.items()) or NONE)
