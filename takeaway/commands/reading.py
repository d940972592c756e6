"""report, trace, audit: what happened, what should have, and whether they agree."""

import json
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from foundation import aws
from foundation.clock import SYSTEM_CLOCK, uninterrupted_wait
from takeaway.commands.options import LEDGER, Json, Ledger
from takeaway.errors import UserError
from takeaway.stack import HOME, lake_told_in_one_line, resolved
from takeaway.terminal import say, waiting

if TYPE_CHECKING:
    from analytics.reading import Window
    from takeaway.audit import Account, Finding

SECOND = timedelta(seconds=1)
MOST_FINDINGS = 20
# Beside 0 for fine, 1 for a finding and 2 for wrong usage.
NOT_AT_REST = 3
TRACE_SECONDS = 20.0
SETTLING = "waiting until the stream is quiet and the lake has all of it"


def report(
    out: Annotated[Path, typer.Option(help="Where the HTML goes; report.json is written beside it.")] = HOME
    / "report.html",
    since: Annotated[str | None, typer.Option(help="From here on: 2026-03-14, or 2026-03-14T12:00:00Z.")] = None,
    until: Annotated[str | None, typer.Option(help="Up to here, and not of it.")] = None,
    last: Annotated[
        str | None, typer.Option(help="So long until now, or --until: 90m, 24h, 7d, 4w; beside as long before it.")
    ] = None,
    prove: Annotated[
        bool, typer.Option("--prove/--no-prove", help="Stamp it with `takeaway lake verify`, which reads every file.")
    ] = True,
    ledger: Ledger = LEDGER,
    as_json: Json = False,
) -> None:
    """Write the HTML report of what is in the lake: one file, no network. Of all there is, or of a period.

    A period is held against as long a time right before it. Where there is a ledger on a local AWS the report is
    stamped by the audit of that ledger's orders.

    Examples: takeaway report · takeaway report --last 7d · takeaway report --since 2026-03-01 --until 2026-04-01
    """
    from takeaway.audit import Bounds, audited, settle, write_report

    window = _period(since, until, last)
    environ = resolved()
    verdict = None
    if ledger.exists() and aws.reaches_only_local(environ):
        with waiting(SETTLING) as tell:
            settle(environ, within=90, wait=uninterrupted_wait(), tell=tell)
            _, verdict = audited(environ, ledger, Bounds(), within=0, wait=uninterrupted_wait(), ignore_others=True)
    with lake_told_in_one_line(environ), waiting("asking the lake, and drawing"):
        written = write_report(environ, out, verdict, window, proven=prove).resolve()
    say(json.dumps({"report": str(written), "data": str(written.with_suffix(".json"))}) if as_json else written)


def _period(since: str | None, until: str | None, last: str | None) -> "Window":
    from analytics.reading import UnclearTime
    from analytics.report import asked_period

    try:
        return asked_period(since, until, last, SYSTEM_CLOCK.now())
    except UnclearTime as error:
        what, _, fix = str(error).partition(". fix: ")
        raise UserError(what, fix) from error


def trace(
    order_id: Annotated[str, typer.Argument(help="As `order_id` has it, in the API's answer and in the lake.")],
    seconds: Annotated[
        float, typer.Option(min=1, max=86_400, help="Read the stream for so many seconds at most.")
    ] = TRACE_SECONDS,
    as_json: Json = False,
) -> None:
    """Show one order's timeline, from the lake and from the stream behind it, and what comes next. Names no customer.

    Where each event is, who told it and because of what, repeats, dead letters, messages; whose step is due, and when.

    Example: takeaway trace 1f6b0b0e-62c1-5c3b-9d57-0c0d7f3d8f11
    """
    from takeaway.trace import as_facts, as_lines, not_found, order_facts, timeline_of

    environ = resolved()
    with waiting("looking in lake, stream and dead letters"):
        facts = order_facts(environ, order_id, within=seconds, clock=SYSTEM_CLOCK, wait=uninterrupted_wait())
    if facts.found_nothing:
        raise not_found(facts)
    told, now = timeline_of(facts), SYSTEM_CLOCK.now()
    say(json.dumps(as_facts(told, now)) if as_json else "\n".join(as_lines(told, now)))


def audit(
    ledger: Ledger = LEDGER,
    repeated_events: Annotated[int, typer.Option(min=0, help="Repeated publications to allow for.")] = 0,
    repeated_effects: Annotated[int, typer.Option(min=0, help="Repeated messages to allow for.")] = 0,
    ignore_others: Annotated[
        bool, typer.Option("--ignore-others", help="Leave out orders that no load of the ledger placed.")
    ] = False,
    settle_seconds: Annotated[
        float,
        typer.Option(
            "--settle",
            min=0,
            max=86_400,
            help="Wait so many seconds at most for the flow to come to rest.",
        ),
    ] = 90,
    history: Annotated[
        Path | None, typer.Option(help="Judge this file of `takeaway load history` by its ledger, and nothing else.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Reconcile ledger, stream, messages and mails as received, and lake.

    Exit 1 when anything is lost or doubled; 3 when nothing is, but something is still to come: not at rest yet.

    Examples: takeaway audit --ledger .takeaway/ledger · takeaway audit --history orders.jsonl
    """
    if history is not None:
        _audit_history(history, None if ledger == LEDGER else ledger, as_json=as_json)
    from takeaway.audit import Bounds, audited, intended_times, latencies, require_auditable, settle

    environ = resolved()
    require_auditable(environ, ledger)
    started = SYSTEM_CLOCK.monotonic()
    with waiting(SETTLING) as tell:
        settle(environ, within=settle_seconds, wait=uninterrupted_wait(), tell=tell)
        evidence, verdict = audited(
            environ,
            ledger,
            Bounds(repeated_events, repeated_effects),
            within=started + settle_seconds - SYSTEM_CLOCK.monotonic(),
            wait=uninterrupted_wait(),
            ignore_others=ignore_others,
            tell=tell,
        )
    told = latencies(intended_times(ledger), evidence.effects)
    if as_json:
        timed = {
            latency.kind: {"messages": latency.messages, "p50": latency.p50 / SECOND, "p99": latency.p99 / SECOND}
            for latency in told
        }
        facts = {
            "ok": verdict.ok,
            "at_rest": verdict.at_rest,
            "receipt": verdict.receipt,
            "outcomes": dict(verdict.outcomes),
            "findings": _found(verdict.findings),
            "waiting": [{"for": waits.for_what, "what": waits.what} for waits in verdict.waits],
            "accounts": {account.consumer: _counts(account) for account in verdict.accounts},
            "seconds_to_tell": timed,
        }
        say(json.dumps(facts))
    else:
        _print_findings(verdict.findings)
        say(verdict.receipt)
        for line in (*verdict.waiting_for, *verdict.accounts, *told):
            say(line)
    raise typer.Exit(NOT_AT_REST if verdict.ok and not verdict.at_rest else 0 if verdict.ok else 1)


def _counts(account: "Account") -> dict[str, int]:
    counts = {end.value.replace(" ", "_"): count for end, count in account.counts.items()}
    return {"records": account.records, **counts}


def _audit_history(history: Path, ledger: Path | None, *, as_json: bool) -> NoReturn:
    from takeaway.audit import audit_history

    with waiting("reading the file and its ledger"):
        verdict = audit_history(history, ledger)
    if as_json:
        facts = {"ok": verdict.ok, "receipt": verdict.receipt, "outcomes": dict(verdict.outcomes)}
        say(json.dumps({**facts, "findings": _found(verdict.findings)}))
    else:
        _print_findings(verdict.findings)
        say(verdict.receipt)
    raise typer.Exit(0 if verdict.ok else 1)


def _found(findings: Sequence["Finding"]) -> list[dict[str, str]]:
    return [{"kind": finding.kind, "what": finding.what} for finding in findings]


def _print_findings(findings: Sequence["Finding"]) -> None:
    for finding in findings[:MOST_FINDINGS]:
        say(f"{finding.kind}: {finding.what}")
    if (more := len(findings) - MOST_FINDINGS) > 0:
        say(f"… and {more:,} more; --json has all")
