"""What was really sent, read back from the local AWS: mails from SES' store, tickets from the audit's queue."""

from takeaway.sent.mails import SentMail, sent_mails
from takeaway.sent.tickets import SentTicket, sent_tickets

__all__ = ["SentMail", "SentTicket", "sent_mails", "sent_tickets"]
