"""load, load history, load realism: synthetic orders, live, as a sample, as a file; and how real they look."""

import dataclasses
import json
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from foundation.diagnostics import json_lines
from takeaway.commands import completing
from takeaway.commands.options import (
    LEDGER,
    MAX_RATE,
    Json,
    Ledger,
    ReallyAws,
    Seed,
    Speed,
    chosen,
    stop_on_signal,
)
from takeaway.commands.running import answering
from takeaway.errors import UserError
from takeaway.stack import NONE, OTHERS, require_local, resolved, signing
from takeaway.terminal import PlainConsole, say, show_rows, waiting, writing

if TYPE_CHECKING:
    from producers.load.ledger import FaultKind
    from producers.load.live import LoadSummary
    from producers.load.realism import Row

# A hundred years behind the last of them there are still dates.
FIRST_YEAR, LAST_YEAR, MAX_DAYS = 1970, 2200, 36_525


def load(
    context: typer.Context,
    orders: Annotated[int, typer.Option(min=1)] = 600,
    rate: Annotated[
        float | None,
        typer.Option(
            min=0.1,
            max=MAX_RATE,
            help="Orders a second, open loop: late answers do not slow it down.",
            show_default="20",
        ),
    ] = None,
    profile: Annotated[
        bool, typer.Option("--profile", help="Instead of a rate: as days and weeks go, --speed times as fast.")
    ] = False,
    speed: Speed = 60,
    seed: Seed = None,
    sample: Annotated[
        int | None, typer.Option(min=1, help="Place none: print the events of so many orders, as on the stream.")
    ] = None,
    api: Annotated[str | None, typer.Option(help="The orders API.", show_default="of takeaway up")] = None,
    ledger: Ledger = LEDGER,
    restaurants: Annotated[
        bool | None,
        typer.Option(help="Simulate the restaurants too.", show_default="unless takeaway up does, or was told none"),
    ] = None,
    yes_really_aws: ReallyAws = False,
    as_json: Json = False,
) -> None:
    """Place synthetic orders, let simulated restaurants handle them, and write down every event in a ledger.

    Exit 1 when orders were left without an answer or an end, or the rate could not be held. An order that waits in time
    for its restaurant, such as for a person at its page, is told and is no failure.

    Examples: takeaway load --orders 1000 --rate 50 --seed 7 · takeaway load --seed 7 --sample 10
    """
    if context.invoked_subcommand:
        _require_no_options(context)
        return
    if sample is not None:
        _print_sample(seed, sample)
        return
    from producers.load.run import DEFAULT_RATE, run_load
    from takeaway.demo import load_bar
    from takeaway.stack import restaurants_of_up

    if profile and rate is not None:
        raise UserError(
            "--profile has a rate of its own, by the hour", "give --rate or --profile; --speed speeds it up"
        )
    environ = resolved()
    if not yes_really_aws:
        require_local(environ, "this load, and the mail it causes,")
    api = answering(api)
    simulated = restaurants_of_up()
    with_restaurants = simulated is None if restaurants is None else restaurants
    # Where nobody is simulated, people may answer; who says --no-restaurants waits for none.
    watch = not with_restaurants and simulated is not None and (simulated != NONE or restaurants is None)
    with load_bar(orders) as progress:
        summary = run_load(
            signing(environ),
            api=api,
            orders=orders,
            rate=None if profile else rate or DEFAULT_RATE,
            speed=speed,
            seed=_told(seed),
            ledger=ledger,
            with_restaurants=with_restaurants,
            watch_restaurants=watch,
            run_by_people=_run_by_people(simulated if watch else None, environ),
            stop=stop_on_signal(),
            emit=json_lines("load"),
            progress=progress,
        )
    say(json.dumps(_facts(summary)) if as_json else summary)
    if summary.unacknowledged or summary.stuck or not summary.held_rate:
        raise typer.Exit(1)


def history(
    out: Annotated[Path, typer.Option(help="The file; its ledger goes beside it, into OUT.ledger.")],
    days: Annotated[int, typer.Option(min=1, max=MAX_DAYS)] = 90,
    per_day: Annotated[
        float,
        typer.Option(min=1, max=10_000_000, help="Orders on an average day.", show_default="833"),
    ] = 833.0,
    start: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="The first day, UTC.")] = datetime(2026, 6, 1),  # noqa: DTZ001
    seed: Seed = None,
    scenario: Annotated[
        str | None,
        typer.Option(
            help="What goes wrong at dinner of the middle day; the ledger has the answer.",
            autocompletion=completing.scenarios,
        ),
    ] = None,
    fault: Annotated[
        list[str] | None, typer.Option(help="KIND=SHARE of the events, for example duplicate=0.01. May be repeated.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write days of orders to a file: one wire event a line, in the order they came, as it would be on the stream.

    The same seed gives the same bytes. `takeaway audit --history OUT` holds the file against its ledger.

    Example: takeaway load history --days 90 --out orders.jsonl --seed 7 --scenario kitchen-meltdown
    """
    from producers.load.history import HistoryPlan, write_history
    from producers.load.market import SCENARIOS

    if scenario is not None and scenario not in SCENARIOS:
        raise UserError(f"no scenario is called {scenario!r}", f"one of: {', '.join(SCENARIOS)}")
    if not FIRST_YEAR <= start.year <= LAST_YEAR:
        raise UserError(
            f"a history cannot start in the year {start.year}", f"choose a day of {FIRST_YEAR} to {LAST_YEAR}"
        )
    plan = HistoryPlan(_told(seed), days, start.replace(tzinfo=UTC), per_day, scenario, _faults(fault or []))
    with writing(out), waiting(f"{days} days of orders"):
        out.parent.mkdir(parents=True, exist_ok=True)
        summary = write_history(plan, out)
    say(json.dumps(dataclasses.asdict(summary) | {"file": str(out)}) if as_json else f"{summary}\n{out}")


def realism(
    seed: Seed = None,
    picture: Annotated[Path | None, typer.Option(help="Draw it too: a name that ends in .svg or .png.")] = None,
    as_json: Json = False,
) -> None:
    """Compare generated orders with published statistics. Exit 1 when one is out of its tolerance.

    Example: takeaway load realism --seed 7 --picture realism.svg
    """
    from producers.load.realism import card, measure

    if picture is not None and picture.suffix not in {".svg", ".png"}:
        raise UserError(f"a picture cannot be a {picture.suffix or 'file without an ending'}", "name it .svg or .png")
    number = _told(seed)
    with waiting("ten markets' days"):
        measured = measure(number)
    rows = card(measured.statistics)
    missed = [row for row in rows if not row.ok]
    if picture is not None:
        from producers.load.realism.picture import draw

        with writing(picture):
            draw(measured, picture)
    if as_json:
        say(json.dumps({"seed": number, "ok": not missed, "statistics": [_row(row) for row in rows]}))
    else:
        shown = [_row(row) | {"generated": f"{row.generated:.3g}", "verdict": _verdict(row)} for row in rows]
        show_rows(("statistic", "generated", "published", "tolerance", "verdict", "source"), shown, PlainConsole())
        say(f"{len(rows) - len(missed)} of {len(rows)} within tolerance · seed {number}")
    raise typer.Exit(1 if missed else 0)


def _run_by_people(simulated: str | None, environ: Mapping[str, str]) -> Callable[[str], bool]:
    """What says of a restaurant's id whether a person answers for it, by which restaurants `takeaway up` simulates."""
    from producers.load.run import opened_restaurants

    return opened_restaurants(environ) if simulated == OTHERS else lambda _: simulated == NONE


def _row(row: "Row") -> dict[str, object]:
    return {
        "statistic": row.statistic,
        "generated": row.generated,
        "published": row.published.value,
        "tolerance": f"{row.published.least:g} to {row.published.most:g}",
        "ok": row.ok,
        "source": row.published.source,
    }


def _verdict(row: "Row") -> str:
    return "ok" if row.ok else "MISSED"


def _print_sample(seed: int | None, count: int) -> None:
    from producers.load.history import sample

    for line in sample(_told(seed), count):
        sys.stdout.buffer.write(line)
    sys.stdout.buffer.flush()


def _told(seed: int | None) -> int:
    """The seed given, or a new one, which is told before anything happens, where it gets between no facts."""
    number = chosen(seed)
    if seed is None:
        say(f"seed {number}", file=sys.stderr)
    return number


def _faults(wanted: list[str]) -> dict["FaultKind", float]:
    from producers.load.ledger import FaultKind

    faults = {}
    for text in wanted:
        kind, _, share = text.partition("=")
        try:
            faults[FaultKind(kind)] = float(share)
        except ValueError as error:
            kinds = ", ".join(FaultKind)
            raise UserError(
                f"--fault {text}: no fault and share", f"KIND=0.01, where KIND is one of {kinds}"
            ) from error
        if not 0 < float(share) <= 1:
            raise UserError(f"--fault {text}: {share} is no share", "a number above 0, and 1 at the most")
    return faults


def _require_no_options(context: typer.Context) -> None:
    """An option before the subcommand would be ignored, and nobody told."""
    for name in context.params:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            raise UserError(
                f"--{name.replace('_', '-')} is before {context.invoked_subcommand}, which has options of its own",
                f"takeaway load {context.invoked_subcommand} --help lists them; they go behind it",
            )


def _facts(summary: "LoadSummary") -> dict[str, object]:
    """The summary with its durations in seconds, and named so."""
    import msgspec

    durations = {"p50": summary.p50, "p99": summary.p99, "max_lag": summary.max_lag}
    seconds = {f"{name}_seconds": None if one is None else one.total_seconds() for name, one in durations.items()}
    facts = msgspec.to_builtins(summary)
    return {name: value for name, value in facts.items() if name not in durations} | seconds
