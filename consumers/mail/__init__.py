"""Mails to customers: what they say, as text and as HTML, and SES."""

from consumers.mail.letter import Letter
from consumers.mail.ses import Mail

__all__ = ["Letter", "Mail"]
