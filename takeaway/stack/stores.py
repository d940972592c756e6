"""Every place that keeps what customers said: what `takeaway lake forget` does there, or how long the place keeps it.

The template's stores stand here by their names in it. docs/lake.md has this list as a table.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True)
class Store:
    """`holds` is what of a customer; nothing when empty.

    `forgets` is what `forget` does about it; where that is empty, `ends` says how it goes, and `kept` after how long
    at most, None when that is not ours to say.
    """

    name: str
    holds: str
    forgets: str = ""
    ends: str = ""
    kept: timedelta | None = None

    @property
    def is_left(self) -> bool:
        """Whether something of the customer is there when `forget` is done."""
        return bool(self.holds) and not self.forgets


# By the names of the template's resources.
DEPLOYED = (
    Store(
        "Stream",
        "events, with name and address",
        ends="the stream's retention. What a consumer reads from it later is sealed under a new key: forget again then",
        kept=timedelta(hours=24),
    ),
    Store(
        "OrdersTable",
        "orders, with name and address",
        forgets="removes the customer's orders that are over, or that no command has touched for 14 days; names those "
        "under way: forget again when they are over",
    ),
    Store(
        "OutcomesTable",
        "ids of customer and order; of a voucher name and address",
        ends="each item expires, after `TAKEAWAY_OUTCOME_DAYS`; digests of events that a state has counted stay",
        kept=timedelta(days=30),
    ),
    Store(
        "TrackerTable",
        "ids of customer and order",
        forgets="removes the customer's orders but for those under way; any other expires 90 days after its last event",
    ),
    Store("StatesTable", "what subscribers remember, by the customer's id", forgets="removes the customer's states"),
    Store("TicketTopic", "", ends="a ticket has no customer in it"),
    Store("TicketQueue", "", ends="a ticket has no customer in it", kept=timedelta(days=14)),
    Store("AuditQueue", "", ends="a ticket has no customer in it", kept=timedelta(days=14)),
    Store(
        "LakeBucket", "names and addresses as tokens", forgets="drops the tokens' keys; the id stays, as a pseudonym"
    ),
    Store("DeadLetterBucket", "whole records, sealed", forgets="drops the letters' keys"),
    Store(
        "CustomerKeyBucket",
        "the keys, by the customer's id",
        forgets="drops the rows; salted digests of the forgotten ids stay for 7 days, for running processes",
    ),
)

BESIDE = (
    Store(
        "ledgers in `.takeaway`",
        "ids of invented customers",
        forgets="writes over the id; a load that runs goes on writing its own, and one with `--ledger` is yours",
    ),
    Store("mails that were sent", "name and address", ends="they are where they were sent"),
    Store(
        "files that you made",
        "what you put there",
        ends="histories, bad lines of a backfill, answers of `lake sql` and `resolve`: you remove them",
    ),
    Store("lease tables, the lake's offsets, logs, the report", "", ends="no name, no address and no customer's id"),
)

STORES = (*DEPLOYED, *BESIDE)


def as_markdown(stores: Iterable[Store]) -> str:
    """The table in docs/lake.md."""
    rows = [(f"`{one.name}`" if one in DEPLOYED else one.name, one.holds or "nothing", _what(one)) for one in stores]
    head = ("store", "of a customer it holds", "`takeaway lake forget`")
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ("---",) * 3, *rows))


def _what(store: Store) -> str:
    if store.forgets:
        return store.forgets
    kept = (
        f" (at most {store.kept.total_seconds() / 3600:g} h)" if store.kept and store.kept < timedelta(days=2) else ""
    )
    if store.kept and not kept:
        kept = f" ({store.kept.days} days)"
    return f"{'leaves it: ' if store.is_left else ''}{store.ends}{kept}"
