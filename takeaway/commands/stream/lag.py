"""lag: how far consumers are behind on each shard, of our own stack or of any application with a lease table."""

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from foundation.clock import SYSTEM_CLOCK, uninterrupted_wait
from foundation.settings import from_environment, variable
from takeaway.commands import completing
from takeaway.commands.options import Json, stop_on_signal
from takeaway.errors import UserError
from takeaway.stack import HOME, endpoint, resolved
from takeaway.terminal import PlainConsole, piped, say, show_rows, waiting

if TYPE_CHECKING:
    from takeaway.lag import Change, ReaderLag
    from takeaway.standing import Application


def lag(
    consumers: Annotated[
        list[str] | None,
        typer.Argument(
            help="Consumers of the list; all by default.",
            autocompletion=completing.readers_of_the_stream,
            metavar="[CONSUMER]...",
        ),
    ] = None,
    table: Annotated[
        list[str] | None,
        typer.Option(help="A lease table of any KCL application instead, looked at for a minute; may be repeated."),
    ] = None,
    stream: Annotated[
        str | None, typer.Option(help="The stream that --table is about; by default that of the stack.")
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Look again and again, and tell each verdict that changes.")
    ] = False,
    every: Annotated[float, typer.Option(min=1, max=3600, help="With -f: look again after so many seconds.")] = 10.0,
    as_json: Json = False,
) -> None:
    """Tell how far each consumer is behind on each shard, and whether it gets on.

    ok: it moves, or has nothing to do. warn: it is late, and moves. stalled: it is tried, and does not move. stopped:
    no worker tries, or it refuses to go on. Changes nothing; reads a few records of each shard, and the lease tables.
    Exit 1 when one is stalled, stopped, falls further behind, or cannot be seen: fit for a cron job.

    Examples: takeaway lag · takeaway lag -f user_notifier · takeaway lag --table billing --stream orders --json
    """
    from takeaway.lag import as_facts, look

    if table and consumers:
        raise UserError("both consumers and --table were named", "name consumers of the list, or lease tables")
    if stream and not table:
        raise UserError("--stream goes with --table", "our own consumers read the stream of the stack")
    environ = endpoint() if stream else resolved()
    name = stream or environ.get(variable("stream"), "")
    applications = _foreign(table, name) if table else _own(environ, consumers)
    if follow:
        _follow(environ, name, applications, every, as_json=as_json)
        return
    with waiting("looking at the leases"):
        readers = look(environ, name, applications, clock=SYSTEM_CLOCK, wait=uninterrupted_wait())
    if as_json:
        import msgspec

        say(msgspec.json.encode(as_facts(name, readers)).decode())
    else:
        _show(readers)
    raise typer.Exit(1 if any(reader.is_problem for reader in readers) else 0)


def _own(environ: Mapping[str, str], names: Sequence[str] | None) -> "list[Application]":
    from consumers.settings import ConsumerSettings
    from consumers.specs import reader_named, readers
    from takeaway.doctor import own_variables
    from takeaway.standing import own_application

    settings = from_environment(ConsumerSettings, environ)
    specs = [reader_named(name) for name in dict.fromkeys(names)] if names else list(readers().values())
    own = own_variables(HOME)
    return [own_application(spec, settings, {**environ, **own.get(spec.name, {})}) for spec in specs]


def _foreign(tables: Sequence[str], stream: str) -> "list[Application]":
    from takeaway.standing import foreign_application

    if not stream:
        raise UserError("the lease table's stream is not known", "--stream NAME")
    return [foreign_application(table) for table in dict.fromkeys(tables)]


def _show(readers: "Sequence[ReaderLag]") -> None:
    from takeaway.lag import changes, rows

    console = PlainConsole(highlight=False)
    found = rows(readers)
    if found:
        show_rows(tuple(found[0]), found, console)
    else:
        say("no shard has a lease", file=sys.stderr)
    if not console.is_terminal:
        # Beside rows for a program; what to do is for people.
        return
    for reader in readers:
        if not reader.ran:
            say(f"{reader.name} never ran: there is no table {reader.lease_table}")
    for one in changes(SYSTEM_CLOCK.now(), (), readers):
        if one.why:
            say(f"\n{_where(one)}: {one.why}\nfix: {one.fix}")


def _follow(
    environ: Mapping[str, str], stream: str, applications: "Sequence[Application]", every: float, *, as_json: bool
) -> None:
    import msgspec

    from takeaway.lag import ReaderLag, changes, look

    stop = stop_on_signal()
    before: tuple[ReaderLag, ...] = ()
    while not stop.is_set():
        now = look(environ, stream, applications, clock=SYSTEM_CLOCK, wait=stop.wait)
        if stop.is_set():
            return
        for one in changes(SYSTEM_CLOCK.now(), before, now):
            say(msgspec.json.encode(one).decode() if as_json else _line(one))
        before = now
        stop.wait(every)


def _line(change: "Change") -> str:
    verdict = f"{change.before} -> {change.now}" if change.before else change.now
    return f"{piped(change.at)[:19]}Z  {_where(change)}  {verdict}{f': {change.why}' if change.why else ''}"


def _where(change: "Change") -> str:
    return f"{change.reader} {change.shard_id}".rstrip()
