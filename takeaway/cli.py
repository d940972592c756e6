"""`takeaway ...`: the one command line for people. Expected errors come with a fix and exit code 2."""

import os
import sys
import traceback
from pathlib import Path

import typer
from botocore.exceptions import BotoCoreError, ClientError

from foundation.aws import NoRegion
from foundation.clock import SYSTEM_CLOCK
from foundation.error_codes import error_code
from takeaway.commands import doctor, explore, loading, logs, options, reading, running, sent, stack, top
from takeaway.commands import flow as flow_commands
from takeaway.commands.lake import asking, backfill, customers, keeping
from takeaway.commands.letters import dead_letters, dropping
from takeaway.commands.stream import lag, tail
from takeaway.errors import UserError
from takeaway.stack import HOME, WRONG_KEY, endpoint, is_still_asked, told_of_lake, unreachable, wrong_key
from takeaway.terminal import say, write

OUR_PACKAGES = {"analytics", "consumers", "events", "foundation", "producers", "takeaway"}

app = typer.Typer(
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    help="Event-driven order processing on Kinesis, with a lake that holds every event exactly once.",
)
lake = typer.Typer(no_args_is_help=True, help="Query the lake, look after it, and prove it right.")
dlq = typer.Typer(no_args_is_help=True, help="Dead letters: records that a consumer could not process.")
load = typer.Typer(invoke_without_command=True, callback=loading.load)
flow = typer.Typer(
    no_args_is_help=True, help="The choreography, written down, and whether the lake's orders keep to it."
)
sent_things = typer.Typer(no_args_is_help=True, help="What was really sent: mails and tickets, from the local AWS.")
new = typer.Typer(no_args_is_help=True, help="Begin something of your own in a checkout.")

app.callback()(options.about)
app.command("demo")(stack.demo)
app.command("up")(stack.up)
app.command("down")(stack.down)
app.command("deploy")(stack.deploy)
app.command("env")(stack.env)
app.command("token")(stack.token)
app.command("doctor")(doctor.doctor)
app.command("top")(top.top)
app.command("lag")(lag.lag)
app.command("tail")(tail.tail)
app.command("logs")(logs.logs)
app.command("serve")(running.serve_orders)
app.command("work")(running.work)
app.command("replay")(running.replay)
app.command("watch")(running.watch)
app.command("restaurants")(running.restaurants)
app.command("report")(reading.report)
app.command("explore")(explore.explore)
app.command("trace")(reading.trace)
app.command("audit")(reading.audit)
sent_things.command("mail")(sent.mail)
sent_things.command("ticket")(sent.ticket)
dlq.command("ls")(dead_letters.ls)
dlq.command("show")(dead_letters.show)
dlq.command("redrive")(dead_letters.redrive)
dlq.command("drop")(dropping.drop)
dlq.command("restore")(dropping.restore)
lake.command("ls")(asking.ls)
lake.command("files")(asking.files)
lake.command("sql")(asking.sql)
lake.command("verify")(keeping.verify)
lake.command("keep")(keeping.keep)
lake.command("compact")(keeping.compact)
lake.command("vacuum")(keeping.vacuum)
lake.command("backfill")(backfill.backfill)
lake.command("forget")(customers.forget)
lake.command("resolve", cls=customers.TakesTokens)(customers.resolve)
flow.command("show")(flow_commands.show)
flow.command("check")(flow_commands.check)
new.command("consumer")(running.new_consumer)
load.command("history")(loading.history)
load.command("realism")(loading.realism)
app.add_typer(dlq, name="dlq")
app.add_typer(lake, name="lake")
app.add_typer(flow, name="flow")
app.add_typer(load, name="load")
app.add_typer(new, name="new")
app.add_typer(sent_things, name="sent")


def main() -> None:
    """The console script: the process ends with it."""
    # What this writes and what it starts writes is for its user alone: keys, logs, ledgers, customers' data.
    os.umask(0o077)
    try:
        run()
    except SystemExit as ended:
        if is_still_asked() and isinstance(ended.code, int):
            # As the interpreter ends, a library that is still asking would abort the process.
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(ended.code)
        raise


def run() -> None:
    """Carries out the command line; an expected error is told with its fix. Raises `SystemExit` in each case."""
    try:
        app()
    except UserError as error:
        _fail(error.what, error.fix)
    except (BotoCoreError, NoRegion) as error:
        told = unreachable(error, endpoint())
        _fail(told.what, told.fix)
    except ClientError as error:
        if error_code(error) == WRONG_KEY:
            told = wrong_key(error, endpoint())
            _fail(told.what, told.fix)
        where = endpoint().get("AWS_ENDPOINT_URL", "AWS")
        _fail(f"{where}: {error}", "is it deployed? `takeaway deploy`; `takeaway doctor` says what is missing")
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:  # noqa: BLE001 - told, and kept for those who mend it
        what, separator, fix = str(error).rpartition("fix: ")
        if separator and is_ours(error):
            _fail(what, fix)
        # Commands that read the lake beside other things.
        if of_lake := told_of_lake(error, endpoint()):
            _fail(of_lake.what, of_lake.fix)
        _fail(*_defect(error))


def is_ours(error: Exception) -> bool:
    """Whether our own packages raised it: such a one says in its text what to do. Any other is a bug."""
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    raised_in = traceback.tb_frame.f_globals.get("__name__", "") if traceback else ""
    return not OUR_PACKAGES.isdisjoint({type(error).__module__.partition(".")[0], raised_in.partition(".")[0]})


def _defect(error: Exception) -> tuple[str, str]:
    """A traceback says something to those who mend the program: it is kept for them, and the reader is told where."""
    told = HOME / "defects" / f"{SYSTEM_CLOCK.now():%Y%m%d-%H%M%S-%f}.txt"
    where = traceback.extract_tb(error.__traceback__)[-1]
    what = f"a defect of takeaway: {type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})"
    try:
        write(told, "".join(traceback.format_exception(error)))
    except UserError as refused:
        return what, f"report it with what you did; its traceback could not be kept: {refused.what}"
    return what, f"report it with what you did, and with {told}"


def _fail(what: str, fix: str) -> None:
    say(f"error: {what.rstrip()}\nfix: {fix}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
