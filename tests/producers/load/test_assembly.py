"""The load's own clients as an environment puts them together, on a local AWS."""

import uuid
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from producers.load.assembly import ticket_queue

if TYPE_CHECKING:
    from tests.conftest import LocalAws


@pytest.mark.local_aws
def test_a_ticket_comes_from_the_queue_and_leaves_it(local_aws: "LocalAws") -> None:
    sqs = local_aws.client("sqs")
    url = sqs.create_queue(QueueName=f"tickets-{uuid.uuid4()}")["QueueUrl"]
    queue = ticket_queue(local_aws.environ | {"TAKEAWAY_TICKET_QUEUE": url})
    sqs.send_message(QueueUrl=url, MessageBody='{"event_id":"e","order_id":"o","restaurant_id":"r","items":[]}')
    [message] = queue.receive(timedelta(minutes=1))
    assert message.ticket is not None
    assert (message.ticket.event_id, message.ticket.order_id, message.ticket.restaurant_id) == ("e", "o", "r")
    queue.delete(message)
    counts = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessagesNotVisible"])
    assert counts["Attributes"]["ApproximateNumberOfMessagesNotVisible"] == "0"
    sqs.delete_queue(QueueUrl=url)
