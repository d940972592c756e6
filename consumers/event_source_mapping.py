"""The settings of the Kinesis event source mapping that a consumer needs on Lambda, from its spec and its step.

https://docs.aws.amazon.com/lambda/latest/dg/services-kinesis-parameters.html
"""

import json
from typing import Any

from consumers.settings import ConsumerSettings
from consumers.specs import Beginning, named
from events import EVENT_TYPES

_FAN_OUT_CONSUMER = "/consumer/"


def event_source_mapping(consumer: str, *, source: str, function: str) -> dict[str, Any]:
    """The properties of an `AWS::Lambda::EventSourceMapping`, which are CreateEventSourceMapping's parameters too.

    `source` is the ARN of the stream, or of a fan-out consumer of it.
    Raises `SettingsError` for an unknown consumer.
    """
    spec = named(consumer)
    mapping: dict[str, Any] = {
        "FunctionName": function,
        "EventSourceArn": source,
        # Behind a replay too: what a state has counted, it counts no second time.
        "StartingPosition": "LATEST" if spec.begins is Beginning.NOW else "TRIM_HORIZON",
        "BatchSize": spec.batch_size or ConsumerSettings.batch_size,
        "MaximumBatchingWindowInSeconds": int(spec.batching_window.total_seconds()),
        # Lambda tells keys apart by the record's own, which of an aggregate is none of its orders': several batches of
        # a shard at once would mix up an order's events. The function itself handles several orders at once.
        "ParallelizationFactor": 1,
        # The first record that is not done is reported, and given again until it is: consumers set apart by themselves
        # what nobody can process.
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "BisectBatchOnFunctionError": False,
        "MaximumRetryAttempts": -1,
        "MaximumRecordAgeInSeconds": -1,
    }
    # guarantee: Lambda filters nothing where it cannot look into aggregates
    if spec.listens_to and _FAN_OUT_CONSUMER in source:
        # Lambda looks into aggregates for a fan-out consumer only; reading the stream itself, it would drop them whole:
        # https://docs.aws.amazon.com/lambda/latest/dg/with-kinesis-filtering.html
        pattern = {"data": {"event_type": [EVENT_TYPES[heard] for heard in spec.listens_to]}}
        mapping["FilterCriteria"] = {"Filters": [{"Pattern": json.dumps(pattern)}]}
    return mapping
