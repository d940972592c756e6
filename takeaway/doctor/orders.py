"""Open orders whose step is overdue: asked of the tracker's table, counted by step, and what is wrong with them."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from events import EVENT_TYPES, FOLLOWING, OrderExpired
from takeaway.doctor.consumers import troubled
from takeaway.doctor.facts import Checkup, OpenOrders, OverdueStep, Problem, Section
from takeaway.overdue import MissedDeadline, OpenLook, missed_deadlines
from takeaway.stack import WATCHER
from takeaway.terminal import counted, roughly

# So many are read: ten requests, well within the time that a look has.
MOST_READ = 1_000
# What is older than a stream keeps its records by default has been tried, and comes no more by itself.
_STILL_COMES = timedelta(days=1)
_BY_ITSELF = EVENT_TYPES[OrderExpired]
_NO_PERSON = FOLLOWING | {_BY_ITSELF}


def open_orders(look: OpenLook, now: datetime) -> OpenOrders:
    """Raises what DynamoDB and Kinesis answer, and `LeftUnread`."""
    found = look.open()
    read = look.read([one.order_id for one in found.orders[:MOST_READ]], now)
    return OpenOrders(
        len(found.orders),
        found.more,
        len(read.timelines),
        read.reached,
        overdue_steps(missed_deadlines(read.timelines, read.reached)),
    )


def overdue_steps(missed: Iterable[MissedDeadline]) -> tuple[OverdueStep, ...]:
    """Counted by whose step it is and what it tells; the longest overdue first. Pure."""
    found: dict[tuple[str, str, tuple[str, ...]], list[MissedDeadline]] = {}
    for one in missed:
        found.setdefault((one.actor, one.owner, one.tells), []).append(one)
    steps = [_counted(some) for some in found.values()]
    return tuple(sorted(steps, key=lambda one: one.due))


def order_problems(checkup: Checkup) -> Iterator[Problem]:
    """What programs owe; what follows from a trouble of theirs that is told is none of its own."""
    orders = checkup.orders
    if orders is None:
        return
    if orders.trouble is not None:
        what = f"which orders are open could not be asked: {orders.trouble}"
        fix = "allow this identity to query the tracker's table and its index `open`, or look again"
        yield Problem(Section.ORDERS, what, fix)
    told = troubled(checkup)
    for step in orders.overdue:
        # guarantee: a person who is late is no problem of the system
        if step.by_person or _is_given_up(step, checkup.examined_at) or _program(step) in told:
            continue
        yield Problem(Section.ORDERS, _waiting(step, orders, checkup.examined_at), _fix(step))


def order_warnings(checkup: Checkup) -> Iterator[Problem]:
    """People who are late, and what nothing will tell any more."""
    orders = checkup.orders or OpenOrders()
    for step in orders.overdue:
        if step.by_person:
            fix = f"ask the {step.actor}: {_trace(step)} shows the oldest, and which it is"
        elif _is_given_up(step, checkup.examined_at):
            fix = f"{_trace(step)} shows the oldest; after so long it does not come by itself"
        else:
            continue
        yield Problem(Section.ORDERS, _waiting(step, orders, checkup.examined_at), fix)


def _counted(some: list[MissedDeadline]) -> OverdueStep:
    oldest = min(some, key=lambda one: (one.due, one.order_id))
    return OverdueStep(
        oldest.actor,
        oldest.owner,
        oldest.tells,
        len({one.order_id for one in some}),
        oldest.order_id,
        oldest.due,
        max(one.due for one in some),
        by_person=_NO_PERSON.isdisjoint(oldest.tells),
    )


def _is_given_up(step: OverdueStep, now: datetime) -> bool:
    return now - step.newest_due > _STILL_COMES


def _program(step: OverdueStep) -> str:
    """The process that takes the step, as the checkup names it."""
    return WATCHER if _BY_ITSELF in step.tells else step.actor


def _waiting(step: OverdueStep, orders: OpenOrders, now: datetime) -> str:
    least = "at least " * (orders.more or orders.looked_at < orders.count)
    one = step.orders == 1 and not least
    return (
        f"{least}{counted(step.orders, 'open order')} {'waits' if one else 'wait'} for {step.actor} to tell "
        f"{' or '.join(step.tells)}, which is overdue (owner: {step.owner}); the oldest is {step.oldest}, "
        f"due {roughly(max(timedelta(), now - step.due))} ago"
    )


def _fix(step: OverdueStep) -> str:
    if _program(step) == WATCHER:
        return f"start the deadline watcher, `takeaway watch`, or read its log; {_trace(step)} shows the oldest"
    return (
        f"{_trace(step)} shows the oldest, and its dead letter if there is one, to be redriven; "
        f"`takeaway logs --errors {step.actor}` says what failed"
    )


def _trace(step: OverdueStep) -> str:
    return f"`takeaway trace {step.oldest}`"
