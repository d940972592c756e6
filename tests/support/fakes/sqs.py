"""The ticket queue in memory: what is received is hidden for a while, what is not deleted comes back."""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from tests.support.fakes.faults import Service

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


class FakeSqs(Service):
    """One standard queue. `refill` is asked for new bodies at every receive, as a topic would send them."""

    def __init__(self, refill: Callable[[], list[str]] = list) -> None:
        super().__init__("sqs")
        self._refill = refill
        self._bodies: dict[str, str] = {}
        self._hidden: set[str] = set()
        self._numbers = 0
        self.hidden_for: set[int] = set()

    @property
    def client(self) -> "SQSClient":
        return cast("SQSClient", self)

    def send(self, body: str) -> None:
        with self.lock:
            self._numbers += 1
            self._bodies[f"message-{self._numbers}"] = body

    @property
    def left(self) -> list[str]:
        """Every body not deleted, hidden or not."""
        with self.lock:
            return list(self._bodies.values())

    def redeliver(self) -> None:
        """The visibility timeout of all that is hidden passes."""
        with self.lock:
            self._hidden.clear()

    def receive_message(self, **parameters: Any) -> dict[str, Any]:
        answer = self.call("receive_message", self._receive, parameters)
        if "Messages" not in answer:
            threading.Event().wait(0.001)  # A long poll, shortened.
        return answer

    def delete_message(self, **parameters: Any) -> dict[str, Any]:
        return self.call("delete_message", self._delete, parameters)

    def _receive(
        self,
        QueueUrl: str,  # noqa: N803
        MaxNumberOfMessages: int,  # noqa: N803
        WaitTimeSeconds: int,  # noqa: N803
        VisibilityTimeout: int,  # noqa: N803
    ) -> dict[str, Any]:
        assert QueueUrl == "queue"
        assert 1 <= MaxNumberOfMessages <= 10
        assert 0 <= WaitTimeSeconds <= 20
        assert 0 <= VisibilityTimeout <= 12 * 60 * 60
        self.hidden_for.add(VisibilityTimeout)
        for body in self._refill():
            self.send(body)
        seen = [message_id for message_id in self._bodies if message_id not in self._hidden][:MaxNumberOfMessages]
        self._hidden.update(seen)
        # Receipt handles begin with the message's id, and differ from it.
        messages = [
            {"MessageId": message_id, "ReceiptHandle": f"{message_id}/receipt", "Body": self._bodies[message_id]}
            for message_id in seen
        ]
        return {"Messages": messages} if messages else {}

    def _delete(self, QueueUrl: str, ReceiptHandle: str) -> dict[str, Any]:  # noqa: N803
        assert QueueUrl == "queue"
        self._bodies.pop(ReceiptHandle.removesuffix("/receipt"), None)
        return {}
