"""What a checkup has found, as rows of cells: orders, capacity, dead letters, lake. Pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from foundation.kinesis import READ_BYTES_PER_SECOND
from takeaway.doctor.facts import Checkup, DeadLetters
from takeaway.doctor.judge import size_in_words
from takeaway.terminal import counted, roughly

Rows = Sequence[Sequence[str]]


def order_rows(checkup: Checkup) -> Rows:
    orders = checkup.orders
    if orders is None:
        return []
    if orders.trouble is not None:
        return [("unknown", "", "")]
    until = orders.read_until
    read = "not all read by the tracker" if until is None else f"read by the tracker as of {_ago(until, checkup)}"
    among = "" if orders.looked_at == orders.count else f"of the oldest {orders.looked_at:,}: "
    rows: list[Sequence[str]] = [(f"{orders.count:,}{' and more' * orders.more} open", read, "")]
    rows += [
        (step.actor, " or ".join(step.tells), f"{among}overdue for {counted(step.orders, 'order')} ({step.owner})")
        for step in orders.overdue
    ]
    return rows if orders.overdue else [(*rows[0][:2], f"{among}none overdue")]


def capacity_rows(checkup: Checkup) -> Rows:
    readers = sum(consumer.polls for consumer in checkup.consumers)
    rows = []
    for one in checkup.rates:
        rate = one.bytes_per_second
        if rate is None:
            rows.append((one.shard_id, "unknown what comes in", ""))
        else:
            read = f"read by {counted(readers, 'consumer')}, {rate * readers / READ_BYTES_PER_SECOND:.0%} of its limit"
            rows.append((one.shard_id, f"{size_in_words(rate)} a second", read if readers else "read by nobody"))
    return rows


def letter_rows(letters: DeadLetters, checkup: Checkup) -> Rows:
    if letters.trouble is not None:
        return [(letters.consumer, "unknown", "")]
    if not letters.count:
        return [(letters.consumer, "none", "")]
    newest = f"newest {_ago(letters.newest_at, checkup)}"
    among = "" if letters.looked_at == letters.count else f"of {letters.of_which}: "
    kinds = ", ".join(f"{count} {kind}" for kind, count in letters.kinds)
    return [(letters.consumer, f"{letters.count:,}{' and more' * letters.more}", f"{among}{kinds}; {newest}")]


def lake_rows(checkup: Checkup) -> Rows:
    lake = checkup.lake
    if lake is None:
        return []
    if lake.trouble is not None:
        return [(lake.where,), ("unknown",)]
    if lake.version is None:
        return [(lake.where,), ("no lake yet: the archiver has committed nothing",)]
    newest = f", newest file {_ago(lake.newest_file_at, checkup)}" if lake.newest_file_at else ", no files"
    return [(lake.where,), (f"{counted(lake.rows, 'row')} in version {lake.version}{newest}",)]


def _ago(then: datetime | None, checkup: Checkup) -> str:
    if then is None:
        return "unknown"
    return f"{roughly(max(timedelta(), checkup.examined_at - then))} ago"
