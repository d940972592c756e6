"""Gives a command with its ledger kept: what it promises before, and what was answered after."""

from collections.abc import Callable

from foundation.clock import Clock
from producers.load.ledger import LedgerEntry, LedgerWriter
from producers.load.live.orders_client import Acknowledged, Refused, Reply


def given(ledger: LedgerWriter, entries: tuple[LedgerEntry, ...], send: Callable[[], Reply], clock: Clock) -> Reply:
    """`entries` are the events that the command brings about, and what follows them."""
    ledger.intend(entries)
    reply = send()
    if isinstance(reply, Acknowledged):
        ledger.acknowledge(entries, clock.now())
    elif isinstance(reply, Refused) and reply.state is not None:
        ledger.refuse(entries, reply.state, clock.now())
    return reply
