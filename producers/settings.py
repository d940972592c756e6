"""What the producers' processes need to be told, from `TAKEAWAY_*` variables."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated

from msgspec import Meta

from events import ACCEPT_WITHIN
from producers.orders import MIN_KEY_BYTES

TokenSecret = Annotated[str, Meta(min_length=MIN_KEY_BYTES)]


@dataclass(frozen=True)
class PublisherSettings:
    """`linger_milliseconds` is how long an event waits for company, `deliver_within_seconds` when it is given up.

    `allow_unordered` has events published also to a stream that ignores their keys, where an order has no order.
    """

    stream: str
    linger_milliseconds: Annotated[int, Meta(ge=0, le=10_000)] = 5
    deliver_within_seconds: Annotated[int, Meta(ge=1, le=3600)] = 60
    allow_unordered: bool = False

    @property
    def linger(self) -> timedelta:
        return timedelta(milliseconds=self.linger_milliseconds)

    @property
    def deliver_within(self) -> timedelta:
        return timedelta(seconds=self.deliver_within_seconds)


@dataclass(frozen=True)
class TokenSettings:
    """The secret of the bearer tokens, at least 32 characters; it has no default."""

    token_key: TokenSecret = field(repr=False)


@dataclass(frozen=True)
class OrdersApiSettings:
    """`answer_within_seconds` is how long a request waits for Kinesis before it is told to come back.

    `accept_within_seconds` is how long an order waits for its restaurant's answer before it expires.
    """

    orders_table: str
    answer_within_seconds: Annotated[int, Meta(ge=1, le=300)] = 10
    accept_within_seconds: Annotated[int, Meta(ge=1, le=86_400)] = int(ACCEPT_WITHIN.total_seconds())

    @property
    def answer_within(self) -> timedelta:
        return timedelta(seconds=self.answer_within_seconds)

    @property
    def accept_within(self) -> timedelta:
        return timedelta(seconds=self.accept_within_seconds)


@dataclass(frozen=True)
class TrackerSettings:
    """`speed` is that of simulated restaurants: what people do is waited for so much shorter."""

    tracker_table: str
    speed: Annotated[float, Meta(gt=0, le=1e6)] = 1.0


@dataclass(frozen=True)
class MarksSettings:
    """The table whose items expire: what the pages of all processes remember together is there."""

    outcomes_table: str


@dataclass(frozen=True)
class TicketQueueSettings:
    """The URL of the queue that hears every restaurant's tickets."""

    ticket_queue: str
