"""`takeaway ...`: the one command line for people. Expected errors come with a fix and exit code 2."""

import os
import sys

import typer
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError

from takeaway.commands import doctor, reading, running, stack
from takeaway.errors import UserError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Event-driven order processing on Kinesis, with a lake that holds every event exactly once.",
)
lake = typer.Typer(no_args_is_help=True, help="Query the lake.")
flow = typer.Typer(no_args_is_help=True, help="The choreography, written down.")

app.command("demo")(stack.demo)
app.command("up")(stack.up)
app.command("down")(stack.down)
app.command("deploy")(stack.deploy)
app.command("env")(stack.env)
app.command("doctor")(doctor.doctor)
app.command("serve")(running.serve)
app.command("work")(running.work)
app.command("load")(running.load)
app.command("restaurants")(running.restaurants)
app.command("report")(reading.report)
app.command("audit")(reading.audit)
lake.command("sql")(reading.lake_sql)
flow.command("show")(reading.flow_show)
app.add_typer(lake, name="lake")
app.add_typer(flow, name="flow")


def main() -> None:
    """The console script."""
    try:
        app()
    except UserError as error:
        _fail(error.what, error.fix)
    except (NoCredentialsError, NoRegionError) as error:
        _fail(
            f"no AWS to talk to: {error}",
            "`takeaway up` starts a local AWS; or set AWS_ENDPOINT_URL, or AWS credentials",
        )
    except (BotoCoreError, ClientError) as error:
        where = os.environ.get("AWS_ENDPOINT_URL", "AWS")
        _fail(f"{where}: {error}", "is it up and deployed? `takeaway up`, or `takeaway deploy`")
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        # Errors of our own packages say in their text what to do; any other one is a bug and keeps its traceback.
        what, separator, fix = str(error).partition("fix: ")
        if not separator:
            raise
        _fail(what, fix)


def _fail(what: str, fix: str) -> None:
    print(f"error: {what.rstrip()}\nfix: {fix}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
