"""DynamoDB and its streams for LocalStack 4.14, answered by moto. PROVIDER_OVERRIDE_DYNAMODB=moto selects it."""

import copy
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from localstack.aws.api.dynamodb import DynamodbApi
from localstack.aws.api.dynamodbstreams import DynamodbstreamsApi
from localstack.services.moto import MotoFallbackDispatcher
from localstack.services.plugins import Service, ServiceLifecycleHook, aws_provider
from moto.dynamodb import models
from moto.dynamodb.models.table import Table

# moto checks a condition and then writes, in two steps: conditional writes are only that with one caller at a time.
_ONE_AT_A_TIME = threading.RLock()


class MotoDynamoDB(DynamodbApi, ServiceLifecycleHook):
    """Implements nothing, so that every operation falls through to moto."""


class MotoDynamoDBStreams(DynamodbstreamsApi, ServiceLifecycleHook):
    """Implements nothing, so that every operation falls through to moto."""


@aws_provider(api="dynamodb", name="moto")
def dynamodb() -> Service:
    models.DynamoDBBackend.transact_write_items = _transact_write_items
    return Service.for_provider(MotoDynamoDB(), dispatch_table_factory=_locked)


@aws_provider(api="dynamodbstreams", name="moto")
def dynamodbstreams() -> Service:
    return Service.for_provider(MotoDynamoDBStreams(), dispatch_table_factory=_locked)


def _locked(provider: object) -> dict[str, Callable[..., Any]]:
    return {name: _alone(handler) for name, handler in MotoFallbackDispatcher(provider).items()}


def _alone(handler: Callable[..., Any]) -> Callable[..., Any]:
    def handle(*arguments: Any, **named: Any) -> Any:
        with _ONE_AT_A_TIME:
            return handler(*arguments, **named)

    return handle


def _as_it_is(value: Any) -> Any:
    """A copy of a table to put back, as far as puts change it: they replace its items, and leave each as it is."""
    if not isinstance(value, Table):
        return copy.deepcopy(value)
    kept = copy.copy(value)
    kept.items = copy.copy(value.items)
    if value.has_range_key:
        kept.items.update({key: dict(items) for key, items in value.items.items()})
    if value.stream_shard is not None:
        kept.stream_shard = copy.copy(value.stream_shard)
        kept.stream_shard.items = list(value.stream_shard.items)
    return kept


_moto_transacts = models.DynamoDBBackend.transact_write_items


def _transact_write_items(backend: models.DynamoDBBackend, transact_items: list[dict[str, Any]]) -> None:
    """As moto's, which for each item copies the whole table, and everything in it: a hundred orders took 14 s."""
    only_puts = all(item.keys() == {"Put"} for item in transact_items)
    models.copy = SimpleNamespace(deepcopy=_as_it_is) if only_puts else copy
    try:
        _moto_transacts(backend, transact_items)
    finally:
        models.copy = copy
