"""`python -m tests.support.expiring`: expires the ledger's orders that are unanswered in time, until it is stopped."""

from botocore.exceptions import BotoCoreError, ClientError

from events import EVENT_TYPES, OrderPlaced
from foundation.clock import SYSTEM_CLOCK
from foundation.diagnostics import json_lines
from foundation.settings import from_environment
from producers.assembly import event_publisher, orders_table
from producers.load.ledger import read_ledger
from producers.orders import Ordering
from producers.settings import OrdersApiSettings
from takeaway.commands.options import LEDGER, stop_on_signal
from takeaway.stack.environment import resolved


def main() -> None:
    environ, emit, stop = resolved(), json_lines("expiring"), stop_on_signal()
    settings = from_environment(OrdersApiSettings, environ)
    ended: set[str] = set()
    with event_publisher(environ, emit) as publisher:
        ordering = Ordering(
            orders_table(environ), publisher, clock=SYSTEM_CLOCK, emit=emit, answer_within=settings.answer_within
        )
        while not stop.wait(1.0):
            placed = [entry for entry in read_ledger(LEDGER).entries if entry.event_type == EVENT_TYPES[OrderPlaced]]
            for order_id in {entry.order_id for entry in placed} - ended:
                try:
                    expire(ordering, order_id, ended)
                except (BotoCoreError, ClientError):
                    break


def expire(ordering: Ordering, order_id: str, ended: set[str]) -> None:
    """`ended` is given the order when it waits for no answer any more."""
    order = ordering.find(order_id)
    if order is None:
        return
    if len(order.later) > 0:
        ended.add(order_id)
    elif order.expires_by(SYSTEM_CLOCK.now()):
        ordering.expire(order_id)


if __name__ == "__main__":
    main()
