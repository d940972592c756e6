"""The publisher: events onto the stream, aggregated, in order, answered only with what Kinesis acknowledged.

`RecordPublisher` takes any bytes under any key, as `Publication`s; `EventPublisher` is it for `events`."""

from producers.publishing.publication import Publication, Published
from producers.publishing.publisher import EventPublisher, PublisherClosed, PublishFailed, RecordPublisher

__all__ = ["EventPublisher", "Publication", "PublishFailed", "Published", "PublisherClosed", "RecordPublisher"]
