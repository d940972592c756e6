"""The orders API over HTTP, and what others need that are served beside it.

`app` and `serving` are imported by their own names: what is put together from the rest, and a server of it."""

from producers.api.access import may_see
from producers.api.asgi import EventStream
from producers.api.parameters import Authenticated, OrderId
from producers.api.problems import Problem, ProblemBody, exception_handlers, mismatched, refused
from producers.api.server_sent import MEDIA_TYPE as EVENT_STREAM
from producers.api.server_sent import RETRY, STILL_THERE, is_over

__all__ = [
    "EVENT_STREAM",
    "RETRY",
    "STILL_THERE",
    "Authenticated",
    "EventStream",
    "OrderId",
    "Problem",
    "ProblemBody",
    "exception_handlers",
    "is_over",
    "may_see",
    "mismatched",
    "refused",
]
