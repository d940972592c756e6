"""The words of `events` that several questions have in their SQL."""

from collections.abc import Iterable

from events import (
    ACCEPTED,
    EVENT_TYPES,
    FINAL,
    NOTIFIED,
    PLACED,
    UNANSWERED,
    OrderAccepted,
    OrderCompleted,
    RestaurantNotified,
    from_on,
)


def listed(states: Iterable[str]) -> str:
    return ", ".join(f"'{state}'" for state in states)


ENDS, ENDS_UNANSWERED, FROM_ACCEPTED = listed(FINAL), listed(UNANSWERED), listed(from_on(ACCEPTED))
# The event that an order which stands there needs to go on.
WAITS_FOR = (
    "CASE state "
    + " ".join(
        f"WHEN '{state}' THEN '{EVENT_TYPES[event]}'"
        for state, event in ((PLACED, RestaurantNotified), (NOTIFIED, OrderAccepted), (ACCEPTED, OrderCompleted))
    )
    + " END"
)
# Since when it has been waiting for that.
WAITS_SINCE = "coalesce(accepted_at, restaurant_notified_at, placed_at)"
