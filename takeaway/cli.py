"""`takeaway ...`: the one command line. Each command says what it does, with examples; errors come with a fix."""

import json
import os
import secrets
import shlex
import signal
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError
from rich.console import Console
from rich.table import Table

from foundation.clock import SYSTEM_CLOCK
from foundation.diagnostics import json_lines
from foundation.settings import SettingsError, variable
from takeaway import local_aws
from takeaway.environment import HOME, endpoint, require_local, resolved
from takeaway.errors import UserError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Event-driven order processing on Kinesis, with a lake that holds every event exactly once.",
)
lake_app = typer.Typer(no_args_is_help=True, help="Query the lake.")
flow_app = typer.Typer(no_args_is_help=True, help="The choreography, written down.")
app.add_typer(lake_app, name="lake")
app.add_typer(flow_app, name="flow")

Seed = Annotated[int | None, typer.Option(help="The same seed gives the same orders. Chosen and printed when absent.")]
Rate = Annotated[float, typer.Option(min=0.1, help="Orders a second, open loop: late answers do not slow it down.")]
Speed = Annotated[float, typer.Option(min=1, help="How many times as fast as real kitchens the simulated ones are.")]
Json = Annotated[bool, typer.Option("--json", help="Print facts as JSON.")]
Ledger = Annotated[Path, typer.Option(help="The folder of the load's ledger.")]
ReallyAws = Annotated[bool, typer.Option("--yes-really-aws", help="Allow load and mail to reach real AWS.")]


@app.command()
def demo(
    orders: Annotated[int, typer.Option(min=1)] = 600,
    rate: Rate = 25,
    speed: Speed = 240,
    seed: Seed = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything up afterwards, to look around.")] = False,
) -> None:
    """Run the whole flow on a local AWS of its own for about a minute, and prove that nothing was lost or doubled.

    Example: takeaway demo --orders 1000 --rate 40 --seed 7
    """
    from takeaway.demo import DemoPlan, demo

    home = HOME / "demos" / f"{SYSTEM_CLOCK.now():%Y%m%d-%H%M%S}-{os.getpid()}"
    plan = DemoPlan(orders=orders, rate=rate, speed=speed, seed=_seed(seed))
    raise typer.Exit(demo(plan, home=home, keep=keep, console=Console(highlight=False)))


@app.command()
def up(
    aws_only: Annotated[bool, typer.Option("--aws-only", help="Only the local AWS with the stack on it.")] = False,
) -> None:
    """Start the local AWS, the API, every consumer and simulated restaurants, and leave them running.

    Example: takeaway up, then paste the curl it prints. Ports: TAKEAWAY_AWS_PORT (4566), TAKEAWAY_API_PORT (8080).
    """
    from takeaway.up import DEFAULT_API_PORT, api_url, curl, up

    api_port = _port("api_port", DEFAULT_API_PORT)
    stack = up(HOME, aws_port=_port("aws_port", local_aws.DEFAULT_PORT), api_port=api_port, aws_only=aws_only)
    for one in stack.running:
        print(f"{one.name:20} pid {one.pid:<8} log {one.log}")
    environ = resolved()
    print(f"\nAWS_ENDPOINT_URL={environ['AWS_ENDPOINT_URL']}")
    if not aws_only:
        print(f"API  {api_url(api_port)}   (OpenAPI: {api_url(api_port)}/schema/openapi.json)")
        print(f"\nPlace an order:\n\n{curl(api_port, environ[variable('token_key')])}\n")
        print("See it in the lake:   takeaway lake sql 'select event_type, occurred_at from events order by 2'")
    print("Stop everything:      takeaway down")


@app.command()
def down() -> None:
    """Stop what `takeaway up` started: consumers drain first, the local AWS goes last."""
    from takeaway.up import existing

    homes = [HOME, *(path.parent for path in sorted(HOME.glob("demos/*/services.json")))]
    stopped = 0
    for home in homes:
        stack = existing(home)
        stopped += len(stack.running)
        stack.stop()
    print(f"stopped {stopped} processes" if stopped else "nothing was up")


@app.command()
def deploy(shards: Annotated[int | None, typer.Option(min=1, help="Shards of the stream.")] = None) -> None:
    """Create or update the stack on the endpoint in use, and print its settings.

    Example: AWS_ENDPOINT_URL=http://127.0.0.1:4566 takeaway deploy
    """
    from takeaway import deployment

    environ = endpoint()
    os.environ.update(environ)
    for name, value in deployment.deploy(environ, shards=shards).items():
        print(f"{name}={value}")


@app.command()
def env() -> None:
    """Print this stack's variables for a shell, so that scripts and notebooks find the lake and the stream.

    Example: eval "$(takeaway env)"
    """
    before = dict(os.environ)
    for name, value in sorted(resolved().items()):
        if before.get(name) != value and name != variable("token_key"):
            print(f"export {name}={shlex.quote(value)}")


@app.command()
def serve(port: Annotated[int, typer.Option(help="Listens on 127.0.0.1.")] = 8080) -> None:
    """Serve the orders API until SIGTERM or Ctrl-C. Its OpenAPI document is at /schema/openapi.json."""
    import uvicorn

    from producers.wiring import orders_api

    environ = resolved()
    local_aws.require_free(port, variable("api_port"))
    api = orders_api(environ, json_lines("api"))
    uvicorn.run(api, host="127.0.0.1", port=port, log_level="warning", access_log=False)


@app.command()
def work(consumer: Annotated[str, typer.Argument(help="restaurant_notifier, user_notifier or archiver")]) -> None:
    """Run one consumer until SIGTERM or Ctrl-C: it then finishes what it has, checkpoints and exits 0.

    Example: takeaway work archiver
    """
    from consumers.wiring import CONSUMERS, worker

    if consumer not in CONSUMERS:
        raise UserError(f"no consumer is called {consumer!r}", f"one of: {', '.join(CONSUMERS)}")
    environ = resolved()
    worker(consumer, environ, json_lines(consumer)).run(_stop_on_signal())


@app.command()
def load(
    orders: Annotated[int, typer.Option(min=1)] = 600,
    rate: Rate = 20,
    speed: Speed = 60,
    seed: Seed = None,
    api: Annotated[str | None, typer.Option(help="The orders API.", show_default="of takeaway up")] = None,
    ledger: Ledger = HOME / "ledger",
    restaurants: Annotated[bool, typer.Option(help="Also simulate the restaurants.")] = True,
    yes_really_aws: ReallyAws = False,
) -> None:
    """Place synthetic orders, let simulated restaurants handle them, and write down every event in a ledger.

    Example: takeaway load --orders 1000 --rate 50 --seed 7
    """
    from producers.load.run import run_load
    from takeaway.up import DEFAULT_API_PORT, api_url

    environ = resolved()
    if not yes_really_aws:
        require_local(environ, "this load, and the mail it causes,")
    summary = run_load(
        environ,
        api=api or api_url(_port("api_port", DEFAULT_API_PORT)),
        orders=orders,
        rate=rate,
        speed=speed,
        seed=_seed(seed),
        ledger=ledger,
        with_restaurants=restaurants,
        stop=_stop_on_signal(),
        emit=json_lines("load"),
    )
    print(summary)


@app.command()
def restaurants(
    api: Annotated[str, typer.Option(help="The orders API.")] = "http://127.0.0.1:8080",
    speed: Speed = 60,
    seed: Seed = None,
    ledger: Ledger = HOME / "ledger",
    yes_really_aws: ReallyAws = False,
) -> None:
    """Simulate the restaurants alone: read tickets, accept or reject, complete. Until SIGTERM or Ctrl-C."""
    from producers.load.run import run_restaurants

    environ = resolved()
    if not yes_really_aws:
        require_local(environ, "what these restaurants do, and the mail it causes,")
    run_restaurants(
        environ, api=api, speed=speed, seed=_seed(seed), ledger=ledger, stop=_stop_on_signal(), emit=json_lines("load")
    )


@lake_app.command("sql")
def lake_sql(query: str, as_json: Json = False) -> None:
    """Run any SQL (DuckDB's) over the table `events`.

    Example: takeaway lake sql "select event_type, count(*) from events group by all order by 2 desc"
    """
    from analytics.lake import Lake

    rows = Lake.from_environment(resolved()).sql(query)
    if as_json:
        print(json.dumps(rows.to_pylist(), default=str))
        return
    table = Table(*rows.column_names)
    for row in rows.to_pylist():
        table.add_row(*("" if value is None else str(value) for value in row.values()))
    Console().print(table)


@app.command()
def report(
    out: Annotated[Path, typer.Option(help="Where the HTML goes; report.json is written beside it.")] = HOME
    / "report.html",
    ledger: Ledger = HOME / "ledger",
) -> None:
    """Write the HTML report of what is in the lake: one file, no network. With a ledger, stamped by the audit."""
    from takeaway.audit import audit as judge
    from takeaway.evidence import gather
    from takeaway.reporting import write_report

    environ = resolved()
    verdict = judge(gather(environ, ledger)) if ledger.exists() else None
    print(write_report(environ, out, verdict).resolve())


@app.command()
def audit(
    ledger: Ledger = HOME / "ledger",
    repeated_events: Annotated[int, typer.Option(min=0, help="Repeated publications to allow for.")] = 0,
    repeated_effects: Annotated[int, typer.Option(min=0, help="Repeated messages to allow for.")] = 0,
    as_json: Json = False,
) -> None:
    """Reconcile ledger, stream, messages and mails as received, and lake. Exit 1 when anything is lost or doubled.

    Example: takeaway audit --ledger .takeaway/ledger
    """
    from takeaway.audit import Bounds
    from takeaway.audit import audit as judge
    from takeaway.evidence import gather

    environ = resolved()
    if not ledger.exists():
        raise UserError(
            f"no ledger at {ledger}", "run `takeaway load` first, or name the ledger's folder with --ledger"
        )
    verdict = judge(gather(environ, ledger), Bounds(repeated_events, repeated_effects))
    if as_json:
        found = [{"kind": finding.kind, "what": finding.what} for finding in verdict.findings]
        print(json.dumps({"ok": verdict.ok, "receipt": verdict.receipt, "findings": found}))
    else:
        for finding in verdict.findings:
            print(f"{finding.kind}: {finding.what}")
        print(verdict.receipt)
    raise typer.Exit(0 if verdict.ok else 1)


@flow_app.command("show")
def flow_show(
    as_mermaid: Annotated[bool, typer.Option("--mermaid", help="As a Mermaid drawing.")] = False,
    as_asyncapi: Annotated[bool, typer.Option("--asyncapi", help="As an AsyncAPI 3.0 document.")] = False,
) -> None:
    """Show who hears what, does what and tells what, by when, and who answers for it."""
    from events.choreography import CHOREOGRAPHY
    from events.drawing import asyncapi, mermaid
    from events.orders import EVENT_TYPES

    if as_mermaid:
        print(mermaid())
        return
    if as_asyncapi:
        print(json.dumps(asyncapi(), indent=2))
        return
    table = Table("who", "hears", "tells", "within", "owner")
    for step in CHOREOGRAPHY:
        heard = EVENT_TYPES[step.listens_to] if step.listens_to else ""
        told = " or ".join(EVENT_TYPES[event] for event in step.publishes)
        table.add_row(step.actor, heard, told, str(step.deadline or ""), step.owner)
    Console().print(table)


def main() -> None:
    """The console script: turns expected errors into `error:` and `fix:` lines and exit code 2."""
    try:
        app()
    except UserError as error:
        _fail(error.what, error.fix)
    except SettingsError as error:
        what, _, fix = str(error).partition(" fix: ")
        _fail(what, fix)
    except NoCredentialsError:
        _fail("no AWS credentials", "`takeaway up` starts a local AWS; or set AWS_ENDPOINT_URL, or AWS credentials")
    except (BotoCoreError, ClientError) as error:
        where = os.environ.get("AWS_ENDPOINT_URL", "AWS")
        _fail(f"{where}: {error}", "is it up and deployed? `takeaway up`, or `takeaway deploy`")
    except KeyboardInterrupt:
        sys.exit(130)


def _fail(what: str, fix: str) -> None:
    print(f"error: {what}\nfix: {fix}", file=sys.stderr)
    sys.exit(2)


def _stop_on_signal() -> threading.Event:
    """Set by the first SIGTERM or Ctrl-C; a second one ends the process at once."""
    stop = threading.Event()

    def heard(number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()

    signal.signal(signal.SIGTERM, heard)
    signal.signal(signal.SIGINT, heard)
    return stop


def _seed(seed: int | None) -> int:
    if seed is None:
        seed = secrets.randbelow(1_000_000)
        print(f"seed {seed}", file=sys.stderr)
    return seed


def _port(field: str, default: int, environ: Mapping[str, str] = os.environ) -> int:
    text = environ.get(variable(field), str(default))
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise UserError(f"{variable(field)} is {text!r}", "a port is a whole number from 1 to 65535")
    return int(text)


if __name__ == "__main__":
    main()
