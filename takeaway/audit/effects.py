"""The messages and mails that were really sent, as effects to hold against the stream."""

from collections.abc import Mapping

from takeaway.audit.facts import Effect
from takeaway.sent import sent_mails, sent_tickets


def ticket_effects(environ: Mapping[str, str]) -> list[Effect]:
    """What SNS delivered; it is given back to its queue. Raises `UserError` while another looks."""
    return [Effect(ticket.kind, ticket.event_id, ticket.sent_at) for ticket in sent_tickets(environ)]


def mail_effects(environ: Mapping[str, str]) -> list[Effect]:
    """The mails that the local AWS took; each quotes the event it answers."""
    return [Effect("e-mail", mail.event_id, mail.sent_at) for mail in sent_mails(environ) if mail.event_id]
