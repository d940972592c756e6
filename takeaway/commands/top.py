"""top: a running stack at a glance, again and again, or once."""

from typing import Annotated

import typer

from foundation.clock import SYSTEM_CLOCK, uninterrupted_wait
from takeaway.commands.options import Json, at_a_terminal
from takeaway.errors import UserError
from takeaway.stack import HOME, merged
from takeaway.terminal import PlainConsole, say

# Where a command is not at a terminal.
_LINES = 60


def top(
    once: Annotated[bool, typer.Option("--once", help="Look once, and end.")] = False,
    seconds: Annotated[
        float, typer.Option(min=0.5, max=60, help="Give each service so many seconds at most to answer.")
    ] = 5.0,
    every: Annotated[float, typer.Option(min=1, max=3600, help="Look again after so many seconds.")] = 2.0,
    as_json: Json = False,
) -> None:
    """Watch a running stack: what its shards take in, how far each consumer is behind, orders, deadlines, dead letters.

    Of what `takeaway up` started, or of any endpoint: AWS_ENDPOINT_URL and TAKEAWAY_STACK name it. A service that does
    not answer hides nothing of the others. Changes nothing. --json looks once; so does a pipe. Exit 1 when it sees a
    problem; `takeaway doctor` says what to do about it.

    Example: takeaway top --once --json | jq .problems
    """
    import msgspec

    from takeaway.doctor import examined_sources, stack_settings
    from takeaway.overview import Gatherer, as_facts, lines, problems

    sources = examined_sources(HOME)
    more, unsettled = stack_settings(merged(sources), seconds)
    if unsettled:
        raise UserError(unsettled[0].what, unsettled[0].fix)
    environ = merged([*sources, *more])
    gatherer = Gatherer(environ, HOME, clock=SYSTEM_CLOCK, wait=uninterrupted_wait(), within=seconds)
    console = PlainConsole(highlight=False)
    if not (once or as_json) and console.is_terminal and at_a_terminal():
        from takeaway.overview.live import watch

        watch(gatherer, environ, every=every, console=console)
        return
    overview = gatherer.look()
    if as_json:
        say(msgspec.json.encode(as_facts(overview)).decode())
    else:
        height = console.height - 1 if console.is_terminal else _LINES
        for line in lines(overview, console.width, height):
            console.print(line, soft_wrap=True)
    raise typer.Exit(1 if problems(overview) else 0)
