"""The publisher: events onto the stream, aggregated, in order, answered only with what Kinesis acknowledged."""

from producers.publishing.publisher import EventPublisher, PublisherClosed, PublishFailed

__all__ = ["EventPublisher", "PublishFailed", "PublisherClosed"]
