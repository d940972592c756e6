"""serve, work, replay, watch, restaurants: single parts, each until it is told to stop; new consumer begins another."""

import json
import threading
from dataclasses import asdict
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from consumers.specs import named, reader_named, readers
from foundation.clock import SYSTEM_CLOCK, uninterrupted_wait
from foundation.diagnostics import json_lines
from foundation.settings import variable
from takeaway.commands import completing
from takeaway.commands.options import LEDGER, Json, Ledger, ReallyAws, Seed, Speed, chosen, port, stop_on_signal
from takeaway.errors import UserError
from takeaway.local import require_free
from takeaway.stack import HOME, require_local, resolved, signing
from takeaway.terminal import counted, say, typed

if TYPE_CHECKING:
    from takeaway.overview.page import Lookout


class Engine(StrEnum):
    """What feeds a consumer."""

    WORKER = "worker"
    KCL = "kcl"


def serve_orders(
    on: Annotated[
        int | None,
        typer.Option("--port", min=1, max=65535, help="On 127.0.0.1.", show_default="TAKEAWAY_API_PORT, 8080"),
    ] = None,
) -> None:
    """Serve the orders API until SIGTERM or Ctrl-C. Its OpenAPI document is at /schema/openapi.json."""
    from producers.api.serving import serve
    from producers.assembly import orders_api
    from takeaway.stack import DEFAULT_API_PORT, market_menu

    environ = signing(resolved(), make_key=True)
    listen_on = on or port("api_port") or DEFAULT_API_PORT
    require_free(listen_on, variable("api_port"))
    # uvicorn ends by the signal that it heard, once all is answered: to us it is heard, no more.
    stop_on_signal()
    from producers.pages.operations import operations_pages

    @cache
    def lookout() -> "Lookout":
        # Loaded when a page is first opened: an API is to answer soon.
        from takeaway.overview.page import lookout

        return lookout(environ, HOME, SYSTEM_CLOCK, uninterrupted_wait())

    operations = operations_pages(lambda: lookout().look())
    serve(orders_api(environ, json_lines("api"), market_menu(), rooms=[operations]), port=listen_on)


def work(
    consumer: Annotated[
        str, typer.Argument(help=f"One of: {', '.join(readers())}.", autocompletion=completing.readers_of_the_stream)
    ],
    engine: Annotated[
        Engine, typer.Option(help="What feeds it: our worker, or the KCL, which needs Java.")
    ] = Engine.WORKER,
) -> None:
    """Run one consumer until SIGTERM or Ctrl-C: it then finishes what it has, checkpoints and exits 0.

    Those that it hosts run with it. On its first day one that begins with history is given that of the lake.

    Both engines keep their place in the same table: either goes on where the other stopped.

    Example: takeaway work archiver
    """
    spec = reader_named(consumer)
    environ, stop = resolved(), stop_on_signal()
    from takeaway.replay import begin_with_history

    if not begin_with_history(spec, environ, json_lines(consumer), stop.wait):
        return
    if engine is Engine.KCL:
        raise typer.Exit(_work_under_the_kcl(consumer, environ, stop))
    from consumers.assembly import worker

    worker(consumer, environ, json_lines(consumer)).run(stop)


def replay(
    consumer: Annotated[
        str, typer.Argument(help="One that keeps a state, or looks on.", autocompletion=completing.consumers)
    ],
    as_json: Json = False,
) -> None:
    """Give a consumer all that the lake has, order by order. An event that it has heard before counts no second time.

    `work` does it by itself on the first day of one that begins with history. What the lake lacks is told: names and
    addresses without a key, events of newer releases, dead letters. Exit 1 when it was stopped before it was done.

    Example: takeaway replay tracker
    """
    from takeaway.replay import replayed

    done = replayed(named(consumer), resolved(), json_lines(consumer), stop_on_signal().wait)
    if as_json:
        say(json.dumps(asdict(done)))
    elif done.version is None:
        say("there is no lake yet, and so no history")
    else:
        say(
            f"{counted(done.events, 'event')} of version {done.version} of the lake given to {consumer}\n"
            f"the lake lacks {done.texts_missing:,} names and addresses whose keys are gone, "
            f"{counted(done.newer, 'event')} of newer releases and {counted(done.letters, 'dead letter')}"
        )
    raise typer.Exit(1 if done.cut_short else 0)


def _work_under_the_kcl(consumer: str, environ: dict[str, str], stop: threading.Event) -> int:
    from consumers.assembly import kcl_daemon
    from takeaway.local.kcl import run_kcl

    properties = kcl_daemon(consumer, environ).properties()
    return run_kcl(properties, HOME / "kcl" / consumer, environ, stop.wait)


def watch() -> None:
    """Watch deadlines until SIGTERM or Ctrl-C: unanswered orders expire, and every step that is overdue is told once.

    It holds nothing and needs no other: start it again, or two, at any time. `takeaway up` runs one.
    """
    from producers.assembly import watcher

    environ, stop = resolved(), stop_on_signal()
    with watcher(environ, json_lines("watcher"), stop.wait) as watching:
        watching.run()


def new_consumer(
    name: Annotated[str, typer.Argument(help="In snake_case.")],
    listens_to: Annotated[
        str,
        typer.Option(metavar="TYPE[,TYPE...]", help="The events that it hears.", autocompletion=completing.event_types),
    ],
    publishes: Annotated[str | None, typer.Option(metavar="TYPE", help="An event that it may tell.")] = None,
    stateful: Annotated[bool, typer.Option("--stateful", help="It keeps a state by customer, and is pure.")] = False,
) -> None:
    """Begin a consumer in this checkout: its module, its test, a line in the list, a step for each event it hears.

    All is written or nothing. docs/subscribers.md tells what to do then.

    Example: takeaway new consumer loyalty_points --listens-to order_completed --stateful
    """
    from takeaway.scaffold import checkout, put, wanted, written

    root = checkout(Path.cwd())
    files = written(wanted(name, listens_to, publishes, stateful=stateful), root)
    are_there = {path for path in files if path.exists()}
    put(files)
    module, test = (str(path.relative_to(root)) for path in files if path not in are_there)
    for path in files:
        say(f"{'changed' if path in are_there else 'new    '}  {path.relative_to(root)}")
    program = typed()
    say(f"\nWrite what it does:   {module}, and {test}")
    say(f"Test it:              make quick ARGS={test}; make check")
    say(f"Start it:             {program} up, which leaves running what is up; {program} doctor shows it")
    say("Read on:              docs/subscribers.md")


def restaurants(
    api: Annotated[str | None, typer.Option(help="The orders API.", show_default="of takeaway up")] = None,
    speed: Speed = 60,
    seed: Seed = None,
    ledger: Ledger = LEDGER,
    others: Annotated[
        bool, typer.Option("--others", help="Leave alone a restaurant whose page a person has open.")
    ] = False,
    yes_really_aws: ReallyAws = False,
) -> None:
    """Simulate the restaurants alone: read tickets, accept or reject, complete. Until SIGTERM or Ctrl-C."""
    from producers.load.run import run_restaurants

    environ = resolved()
    if not yes_really_aws:
        require_local(environ, "what these restaurants do, and the mail it causes,")
    api = answering(api)
    run_restaurants(
        signing(environ),
        api=api,
        speed=speed,
        seed=chosen(seed),
        ledger=ledger,
        stop=stop_on_signal(),
        emit=json_lines("load"),
        others=others,
    )


def answering(api: str | None) -> str:
    """The orders API to use: the one named, or that of `takeaway up`; a `UserError` when it does not answer."""
    from takeaway.stack import answers, existing

    url = (api or existing(HOME).api).rstrip("/")
    if not answers(url):
        raise UserError(f"no orders API answers at {url}", "`takeaway up` or `takeaway serve`, or name it with --api")
    return url
