"""The orders API over HTTP, and what others need that are served beside it.

`app` and `serving` are imported by their own names: what is put together from the rest, and a server of it."""

from producers.api.access import may_see
from producers.api.parameters import Authenticated, OrderId
from producers.api.problems import Problem, ProblemBody, exception_handlers, mismatched, refused
from producers.api.server_sent import RETRY, Why
from producers.api.streams import OrderStreams, Stream

__all__ = [
    "RETRY",
    "Authenticated",
    "OrderId",
    "OrderStreams",
    "Problem",
    "ProblemBody",
    "Stream",
    "Why",
    "exception_handlers",
    "may_see",
    "mismatched",
    "refused",
]
