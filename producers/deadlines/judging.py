"""Which of an order's deadlines are over: by the wall clock for its expiry, by what was read for every step. Pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from producers.tracking import Deadline

# Arrival times are approximate, and come from other clocks than ours.
MARGIN = timedelta(seconds=2)


def due(deadlines: Sequence[Deadline], now: datetime) -> tuple[Deadline | None, tuple[Deadline, ...]]:
    """Of these the expiry, if it is due by now, and the steps that are."""
    over = [one for one in deadlines if one.due <= now]
    return next((one for one in over if not one.step), None), tuple(one for one in over if one.step)


def overdue(steps: Sequence[Deadline], read_until: datetime | None) -> tuple[Deadline, ...]:
    """Of these steps those that did not come in time, where all that arrived before `read_until` is known.

    None where that is unknown: then none of them is.
    """
    # guarantee: no step is overdue before the tracker has read past its deadline
    return tuple(one for one in steps if read_until is not None and one.due + MARGIN < read_until)
