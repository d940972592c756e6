"""DynamoDB and its streams for LocalStack 4.14, answered by moto. PROVIDER_OVERRIDE_DYNAMODB=moto selects it."""

import threading
from collections.abc import Callable
from typing import Any

from localstack.aws.api.dynamodb import DynamodbApi
from localstack.aws.api.dynamodbstreams import DynamodbstreamsApi
from localstack.services.moto import MotoFallbackDispatcher
from localstack.services.plugins import Service, ServiceLifecycleHook, aws_provider

# moto checks a condition and then writes, in two steps: conditional writes are only that with one caller at a time.
_ONE_AT_A_TIME = threading.RLock()


class MotoDynamoDB(DynamodbApi, ServiceLifecycleHook):
    """Implements nothing, so that every operation falls through to moto."""


class MotoDynamoDBStreams(DynamodbstreamsApi, ServiceLifecycleHook):
    """Implements nothing, so that every operation falls through to moto."""


@aws_provider(api="dynamodb", name="moto")
def dynamodb() -> Service:
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
