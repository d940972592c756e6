"""An application's registration as a consumer of its stream, which enhanced fan-out asks for.

https://docs.aws.amazon.com/streams/latest/dev/enhanced-consumers.html
"""

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from consumers.diagnostics import StreamConsumerRegistered
from foundation.clock import Wait
from foundation.diagnostics import Emit
from foundation.error_codes import error_code

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient

# DescribeStreamConsumer may be called 20 times a second by a whole account.
_LOOK_SECONDS = 1.0


class StreamConsumer:
    """Registered once by whoever needs it first, and shared by the shards of a worker.

    It stays registered when the application stops, since its other workers may go on; it costs money while it is.
    """

    def __init__(self, kinesis: "KinesisClient", stream: str, name: str, *, emit: Emit) -> None:
        self._kinesis = kinesis
        self._stream = stream
        self._name = name
        self._emit = emit
        self._arn: str | None = None

    def arn(self, wait: Wait) -> str | None:
        """Of the consumer, once it is active; None when the wait was cut short. Raises what Kinesis answers."""
        if self._arn is None:
            stream_arn = self._kinesis.describe_stream_summary(StreamName=self._stream)["StreamDescriptionSummary"][
                "StreamARN"
            ]
            while self._arn is None:
                arn, status = self._described(stream_arn)
                if status == "ACTIVE":
                    self._arn = arn
                elif wait(_LOOK_SECONDS):
                    return None
        return self._arn

    def forget(self) -> None:
        """Somebody may have deleted it: it is looked for, and registered, again."""
        self._arn = None

    def _described(self, stream_arn: str) -> tuple[str, str]:
        try:
            found = self._kinesis.describe_stream_consumer(StreamARN=stream_arn, ConsumerName=self._name)
        except ClientError as error:
            if error_code(error) != "ResourceNotFoundException":
                raise
            return self._registered(stream_arn)
        description = found["ConsumerDescription"]
        return description["ConsumerARN"], description["ConsumerStatus"]

    def _registered(self, stream_arn: str) -> tuple[str, str]:
        try:
            made = self._kinesis.register_stream_consumer(StreamARN=stream_arn, ConsumerName=self._name)["Consumer"]
        except ClientError as error:
            if error_code(error) != "ResourceInUseException":
                raise
            return "", "CREATING"  # another shard's thread was quicker
        self._emit(StreamConsumerRegistered(self._stream, self._name))
        return made["ConsumerARN"], made["ConsumerStatus"]
