"""dlq drop, restore: the end of letters that nobody will give again, and the way back from it."""

import json
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from foundation import aws
from foundation.clock import SYSTEM_CLOCK
from foundation.ids import random_id
from takeaway.commands.letters import dead_letters
from takeaway.commands.letters.dead_letters import DryRun, Keys, OfConsumer, OfError, bar, chosen
from takeaway.commands.options import Json, stop_on_signal
from takeaway.errors import UserError
from takeaway.stack import resolved
from takeaway.terminal import PlainConsole, counted, say, show_rows

if TYPE_CHECKING:
    from consumers.dead_letters import Drops, Ending, S3DeadLetters


def drop(
    keys: Keys = None,
    consumer: OfConsumer = None,
    error: OfError = None,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; kept with each letter, in plain.")] = "",
    dry_run: DryRun = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Set dead letters aside for good: under `dropped/`, whole, with when and why. Exit 1 when any is left.

    By their keys, by --error, or all of --consumer; without any, all there are. `dlq ls --dropped` finds them, and
    `dlq restore` brings them back. What cannot be read as a letter is dropped as well.

    Example: takeaway dlq drop --error 3f2a91c07b5e --reason "garbage from a test"
    """
    environ = resolved()
    _require_short(reason)
    letters = dead_letters.of_stack(environ)
    found = chosen(letters, keys, consumer, error)
    if dry_run or not found:
        _tell_prospects(found, as_json)
        return
    _confirm(environ, len(found), everything=not (keys or consumer or error), yes=yes)
    with bar("dropping", len(found)) as (advance, _):
        endings = _followed(_drops(letters).drop(found, reason), advance)
    _tell(endings, as_json)


def restore(keys: Keys = None, consumer: OfConsumer = None, error: OfError = None, as_json: Json = False) -> None:
    """Bring dropped letters back to where they were: by their keys, --error or --consumer. Exit 1 when any is left.

    Example: takeaway dlq restore --consumer archiver
    """
    if not (keys or consumer or error):
        raise UserError(
            "which ones is not said", "name keys, --error or --consumer; `takeaway dlq ls --dropped` shows all"
        )
    letters = dead_letters.of_stack(resolved())
    found = chosen(letters, keys, consumer, error, dropped=True)
    with bar("restoring", len(found)) as (advance, _):
        endings = _followed(_drops(letters).restore(found), advance)
    _tell(endings, as_json)


Endings = list[tuple[str, "Ending", str | None]]


def _drops(letters: "S3DeadLetters") -> "Drops":
    from consumers.dead_letters import Drops

    return Drops(letters, clock=SYSTEM_CLOCK, wait=stop_on_signal().wait, new_id=random_id)


def _require_short(reason: str) -> None:
    from urllib.parse import quote

    from consumers.dead_letters import MOST_REASON

    if len(quote(reason, errors="replace")) > MOST_REASON:
        raise UserError("the reason is too long to be kept with a letter", "say it in a few hundred characters")


def _confirm(environ: Mapping[str, str], count: int, *, everything: bool, yes: bool) -> None:
    """Asks on a terminal. A script says --yes where it did not say which ones, and on anything but a local AWS."""
    where = environ.get("AWS_ENDPOINT_URL") or "AWS"
    if yes:
        return
    if is_terminal():
        typer.confirm(f"Drop {counted(count, 'letter')} on {where}?", abort=True)
    elif everything or not aws.reaches_only_local(environ):
        raise UserError(f"this would drop {counted(count, 'letter')} on {where}", "--yes if you mean it")


def is_terminal() -> bool:
    return sys.stdin.isatty()


def _followed(ending: Iterable[tuple[str, "Ending", str | None]], advance: Any) -> Endings:
    endings = []
    for one in ending:
        endings.append(one)
        advance(1)
    return endings


def _tell_prospects(keys: Sequence[str], as_json: bool) -> None:
    if as_json:
        say(json.dumps([{"key": key} for key in keys]))
    elif keys:
        show_rows(("key",), [{"key": key} for key in keys], PlainConsole())
        say(f"would drop {counted(len(keys), 'letter')}. Nothing was changed.")
    else:
        say(dead_letters.NONE)


def _tell(endings: Endings, as_json: bool) -> None:
    from consumers.dead_letters import Ending

    counts = Counter(ending.value for _, ending, _ in endings)
    over = {Ending.DROPPED, Ending.RESTORED, Ending.GONE}
    left = [{"key": key, "fate": ending.value, "why": why} for key, ending, why in endings if ending not in over]
    if as_json:
        say(json.dumps({"counts": counts, "left": left}))
    else:
        dead_letters.show_left(left)
        say(" · ".join(f"{count:,} {ending}" for ending, count in counts.items()) or dead_letters.NONE)
    raise typer.Exit(1 if left else 0)
