"""Leases in the KCL's table format: which shards there are to read, and which worker reads each."""

from consumers.engines.worker.leases.coverage import (
    Leases,
    may_start,
    not_ours,
    of_streams_before,
    to_create,
    to_delete,
)
from consumers.engines.worker.leases.fleet import CannotJoin, Fleet, OwnFleet
from consumers.engines.worker.leases.kcl_fleet import KclFleet
from consumers.engines.worker.leases.keeper import HeldLease, LeaseKeeper
from consumers.engines.worker.leases.lease import Lease, position_text
from consumers.engines.worker.leases.note import Note
from consumers.engines.worker.leases.table import LeaseTable

__all__ = [
    "CannotJoin",
    "Fleet",
    "HeldLease",
    "KclFleet",
    "Lease",
    "LeaseKeeper",
    "LeaseTable",
    "Leases",
    "Note",
    "OwnFleet",
    "may_start",
    "not_ours",
    "of_streams_before",
    "position_text",
    "to_create",
    "to_delete",
]
