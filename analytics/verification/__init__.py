"""Proof, from log, footers, rows and stream, that each record is in the lake once."""

from analytics.verification.proof import verify
from analytics.verification.rows import StreamRecord

__all__ = ["StreamRecord", "verify"]
