"""tail: the stream's events as they come."""

import json
from datetime import timedelta
from typing import Annotated

import typer

from foundation.clock import SYSTEM_CLOCK
from takeaway.commands import completing
from takeaway.commands.options import moment, stop_on_signal
from takeaway.errors import UserError
from takeaway.stack import resolved
from takeaway.terminal import say

# The stream's own clock need not be ours: begun a moment ago, the first events after the start are not missed.
_MOMENT = timedelta(seconds=2)


def tail(
    event_type: Annotated[
        list[str] | None,
        typer.Option("--type", "-t", help="Only events of this type.", autocompletion=completing.event_types),
    ] = None,
    order: Annotated[list[str] | None, typer.Option(metavar="ORDER_ID", help="Only events of this order.")] = None,
    restaurant: Annotated[
        list[str] | None, typer.Option(metavar="RESTAURANT_ID", help="Only events that name this restaurant.")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="WHEN", help="Begin there: 10m, 2h, 1d ago, or a time in ISO 8601; now if absent."),
    ] = None,
    once: Annotated[
        bool, typer.Option("--once", help="End where the stream does, instead of waiting for more.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object a line, with all of the event.")] = False,
) -> None:
    """Show the stream's events as they come: decoded, aggregates opened, names and addresses masked. Until Ctrl-C.

    Reads each shard every other second, which its consumers leave room for. An option that is given several times
    wants any of the values. Times are in UTC.

    Examples: takeaway tail · takeaway tail -t order_expired -t order_rejected --since 1h · takeaway tail --once --json
    """
    from events import EVENT_TYPES
    from takeaway.tail import StreamTail, Wanted, shown

    known = set(EVENT_TYPES.values())
    if unknown := sorted(set(event_type or ()) - known):
        raise UserError(f"no event is called {', '.join(unknown)}", f"one of: {', '.join(sorted(known))}")
    now = SYSTEM_CLOCK.now()
    begin = now - _MOMENT if since is None else moment(since, now)
    environ = resolved()
    stop = stop_on_signal()
    wanted = Wanted(frozenset(event_type or ()), frozenset(order or ()), frozenset(restaurant or ()))
    for shard_id, record in StreamTail(environ, begin, stop.wait).records(follow=not once):
        if one := shown(shard_id, record, wanted):
            say(json.dumps(one.facts) if as_json else one.line)
