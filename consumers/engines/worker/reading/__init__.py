"""Reading one shard, by polling or by fan-out, without leaving a record out."""

from consumers.engines.worker.reading.cursor import BatchReader, EndOfShard, ShardCursor
from consumers.engines.worker.reading.fan_out import FanOutReader
from consumers.engines.worker.reading.polling import ShardReader
from consumers.engines.worker.reading.stream_consumer import StreamConsumer

__all__ = ["BatchReader", "EndOfShard", "FanOutReader", "ShardCursor", "ShardReader", "StreamConsumer"]
