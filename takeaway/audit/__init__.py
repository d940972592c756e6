"""The audit: ledger, stream, effects and lake held against each other."""

from takeaway.audit.account import Account
from takeaway.audit.evidence import (
    audited,
    gather,
    intended_times,
    ledger_facts,
    require_auditable,
    set_apart,
    settle,
)
from takeaway.audit.facts import in_words, outcomes
from takeaway.audit.history import audit_history
from takeaway.audit.lake import lake_has, lake_rows
from takeaway.audit.latency import Latency, latencies
from takeaway.audit.observer import StreamObserver
from takeaway.audit.report_file import write_report
from takeaway.audit.stream import StreamAway, retained_records, shard_reader, stream_shards
from takeaway.audit.verdict import REPEATED_EVENT, Audit, Bounds, Finding, audit

__all__ = [
    "REPEATED_EVENT",
    "Account",
    "Audit",
    "Bounds",
    "Finding",
    "Latency",
    "StreamAway",
    "StreamObserver",
    "audit",
    "audit_history",
    "audited",
    "gather",
    "in_words",
    "intended_times",
    "lake_has",
    "lake_rows",
    "latencies",
    "ledger_facts",
    "outcomes",
    "require_auditable",
    "retained_records",
    "set_apart",
    "settle",
    "shard_reader",
    "stream_shards",
    "write_report",
]
