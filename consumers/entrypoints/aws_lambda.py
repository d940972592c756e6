"""What the Lambda runtime calls: handler `consumers.lambda_entry.handle`. TAKEAWAY_CONSUMER says whom it runs.

The other variables are those of every consumer; docs/engines.md has the function's and the mapping's settings.
"""

import os
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

from consumers.assembly import kinesis_function
from consumers.specs import CONSUMERS
from events import require_reading
from foundation.diagnostics import json_lines
from foundation.settings import SettingsError, variable

if TYPE_CHECKING:
    from consumers.engines.aws_lambda import Answer, KinesisFunction


# While the container starts, so that one that cannot read takes no batch.
require_reading()


class LambdaContext(Protocol):
    """The part of https://docs.aws.amazon.com/lambda/latest/dg/python-context.html that is used."""

    def get_remaining_time_in_millis(self) -> int: ...


def handle(event: Any, context: LambdaContext) -> "Answer":
    return _function().handle(event, lambda: context.get_remaining_time_in_millis() / 1000)


@cache
def _function() -> "KinesisFunction":
    """Put together once for each container, when the first batch comes."""
    consumer = os.environ.get(variable("consumer"), "")
    if consumer not in CONSUMERS:
        raise SettingsError(
            f"{variable('consumer')} is {consumer or 'not set'}. fix: set it to one of {', '.join(CONSUMERS)}"
        )
    return kinesis_function(consumer, os.environ, json_lines(consumer))
