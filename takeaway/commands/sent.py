"""sent mail, sent ticket: what the consumers really sent, as the local AWS took it."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from foundation import aws
from foundation.clock import SYSTEM_CLOCK, uninterrupted_wait
from foundation.settings import variable
from takeaway.commands.options import Json
from takeaway.errors import UserError
from takeaway.stack import resolved
from takeaway.terminal import PlainConsole, counted, piped, say, show_rows, waiting

if TYPE_CHECKING:
    from takeaway.sent import SentMail, SentTicket

Last = Annotated[int, typer.Option("--last", "-n", min=1, help="So many of the newest, the newest at the end.")]
OfOrder = Annotated[str | None, typer.Option("--order", metavar="ORDER_ID", help="Only what this order caused.")]
_LOOK_SECONDS = 20.0


def mail(last: Last = 10, order: OfOrder = None, as_json: Json = False) -> None:
    """Show the mails that customers were sent, whole: when, to whom, and what they say. Of a local AWS alone.

    A local AWS keeps every mail and sends none on; AWS sends them and keeps none.

    Examples: takeaway sent mail --last 1 · takeaway sent mail --order 1f6b0b0e-62c1-5c3b-9d57-0c0d7f3d8f11
    """
    environ = _of_a_local_aws("a mail")
    with waiting("reading the mails that the local AWS took"):
        from takeaway.sent import sent_mails

        caused = None if order is None else _events_of(environ, order)
        mails = [one for one in sent_mails(environ) if caused is None or one.event_id in caused]
    shown = mails[-last:]
    if as_json:
        say(json.dumps([_mail_facts(one) for one in shown]))
        return
    for one in shown:
        say(f"{piped(one.sent_at)}  to {', '.join(one.to)}\n{one.subject}\n")
        say("\n".join(f"  {line}".rstrip() for line in one.text.strip().splitlines()) + "\n")
    _tell_number(len(shown), len(mails), "mail")


def ticket(last: Last = 10, order: OfOrder = None, as_json: Json = False) -> None:
    """Show the tickets and withdrawals that restaurants were sent. Of a local AWS alone.

    They are looked at in the queue that the audit reads, and stay there for it.

    Examples: takeaway sent ticket --last 3 · takeaway sent ticket --json | jq '.[].message.items'
    """
    environ = _of_a_local_aws("a ticket")
    if variable("audit_queue") not in environ:
        raise UserError("this stack has no queue that hears every ticket", "`takeaway deploy` makes it on a local AWS")
    with waiting("looking at the tickets in the audit's queue"):
        from takeaway.sent import sent_tickets

        tickets = [one for one in sent_tickets(environ) if order is None or one.order_id == order]
    shown = tickets[-last:]
    if as_json:
        say(json.dumps([_ticket_facts(one) for one in shown]))
        return
    if shown:
        rows = [_ticket_row(one) for one in shown]
        show_rows(tuple(rows[0]), rows, PlainConsole())
    _tell_number(len(shown), len(tickets), "ticket")


def _of_a_local_aws(what: str) -> dict[str, str]:
    environ = resolved()
    if not aws.reaches_only_local(environ):
        raise UserError(
            f"{what} cannot be shown: AWS sends it and keeps no copy, only a local AWS does",
            "`takeaway trace ORDER_ID` tells which were sent, with their message ids; to see tickets, subscribe a "
            "queue of your own to the topic in TAKEAWAY_TICKET_TOPIC, and mails, order with an address that you read",
        )
    return environ


def _events_of(environ: Mapping[str, str], order_id: str) -> frozenset[str]:
    from takeaway.trace import not_found, order_facts

    facts = order_facts(environ, order_id, within=_LOOK_SECONDS, clock=SYSTEM_CLOCK, wait=uninterrupted_wait())
    if facts.found_nothing:
        raise not_found(facts)
    return frozenset(one.header.event_id for one in facts.sightings)


def _mail_facts(one: "SentMail") -> dict[str, object]:
    return {
        "sent_at": piped(one.sent_at),
        "to": list(one.to),
        "subject": one.subject,
        "text": one.text,
        "event_id": one.event_id,
    }


def _ticket_facts(one: "SentTicket") -> dict[str, object]:
    return {"sent_at": piped(one.sent_at), "kind": one.kind, "event_id": one.event_id, "message": one.told}


def _ticket_row(one: "SentTicket") -> dict[str, object]:
    return {
        "sent_at": one.sent_at,
        "kind": one.kind,
        "restaurant": one.restaurant_id,
        "order": one.order_id,
        "says": _says(one.told or {}) or one.event_id,
    }


def _says(told: Mapping[str, object]) -> str:
    """What is to be cooked, or why no longer."""
    items = told.get("items")
    if isinstance(items, Sequence) and not isinstance(items, str):
        return ", ".join(f"{one.get('quantity')} x {one.get('name')}" for one in items if isinstance(one, dict))
    return str(told.get("reason") or "")


def _tell_number(shown: int, there: int, noun: str) -> None:
    if shown < there:
        say(f"the newest {shown} of {counted(there, noun)}; --last {there} shows all")
    else:
        say(counted(there, noun) if there else f"no {noun} was sent")
