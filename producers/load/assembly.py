"""Puts a load together from an environment: its client of the orders API, and the restaurants' queue."""

from collections.abc import Mapping

import httpx
from botocore.config import Config

from foundation import aws
from foundation.settings import from_environment
from producers.load.live import TicketQueue
from producers.settings import TicketQueueSettings

# Beyond the longest long poll.
SQS = Config(
    retries={"mode": "standard", "total_max_attempts": 3}, connect_timeout=5, read_timeout=30, max_pool_connections=20
)


def ticket_queue(environ: Mapping[str, str]) -> TicketQueue:
    settings = from_environment(TicketQueueSettings, environ)
    return TicketQueue(aws.client("sqs", environ, SQS), settings.ticket_queue)


def orders_http(url: str) -> httpx.Client:
    """A client for the API at `url` with room for a load's threads; close it. It waits longer than the API does."""
    return httpx.Client(
        base_url=url, timeout=httpx.Timeout(15, connect=5), limits=httpx.Limits(max_connections=300), trust_env=False
    )
