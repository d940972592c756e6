"""What waits to be published: one ordered lane per partition key. Pure; the publisher brings thread, lock and clock.

A lane's head stays until it is settled, so no later record of its key can overtake it, however often it is refused.
"""

from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import takewhile

# https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecords.html; keys count into both sizes.
MAX_REQUEST_ENTRIES = 500
MAX_REQUEST_BYTES = 5 * 1024 * 1024
MAX_RECORD_BYTES = 1024 * 1024
MAX_KEY_CHARACTERS = 256


@dataclass(frozen=True)
class Published:
    """Kinesis has it: where, and after how many attempts."""

    shard_id: str
    sequence_number: str
    attempts: int


@dataclass(eq=False)
class Waiting:
    """A record on its way; times are the clock's monotonic seconds. `subject` names it in errors."""

    subject: str
    partition_key: str
    data: bytes
    give_up_at: float
    not_before: float = 0.0
    attempts: int = 0
    last_error: str = "it was never sent"
    answer: Future[Published] = field(default_factory=Future)

    @property
    def size(self) -> int:
        return len(self.data) + len(self.partition_key.encode())


def unsendable(record: Waiting) -> str | None:
    """Why Kinesis would never take this record, and the fix."""
    if not 1 <= len(record.partition_key) <= MAX_KEY_CHARACTERS:
        return (
            f"its partition key has {len(record.partition_key)} characters. fix: use 1 to {MAX_KEY_CHARACTERS} of them"
        )
    if record.size > MAX_RECORD_BYTES:
        return f"it has {record.size} bytes, key included. fix: stay below {MAX_RECORD_BYTES}, or send a reference"
    return None


class Lanes:
    """Waiting records; `count` and `size` (bytes, keys included) are over all lanes."""

    def __init__(self) -> None:
        self._lanes: dict[str, deque[Waiting]] = {}
        self.count = 0
        self.size = 0

    def add(self, record: Waiting) -> None:
        self._lanes.setdefault(record.partition_key, deque()).append(record)
        self.count += 1
        self.size += record.size

    def due(self, now: float) -> list[Waiting]:
        """The next request: the heads of lanes that may be sent now, at most one a key, within Kinesis' limits."""
        heads: list[Waiting] = []
        size = 0
        for lane in self._lanes.values():
            head = lane[0]
            if head.not_before > now:
                continue
            if len(heads) == MAX_REQUEST_ENTRIES or size + head.size > MAX_REQUEST_BYTES:
                break
            heads.append(head)
            size += head.size
        return heads

    def next_due(self) -> float:
        """When the first head may be sent. Only asked while something waits."""
        return min(lane[0].not_before for lane in self._lanes.values())

    def settle(self, head: Waiting) -> None:
        """Takes out the head of its lane; the lane's next record queues behind the other lanes."""
        lane = self._lanes.pop(head.partition_key)
        if lane.popleft() is not head:
            raise AssertionError(f"{head.subject} was settled before its turn")
        if lane:
            self._lanes[head.partition_key] = lane
        self.count -= 1
        self.size -= head.size

    def expired(self, now: float) -> list[Waiting]:
        """The records whose time is over, each lane's in order. A lane's records were all given the same time."""
        lanes = self._lanes.values()
        return [record for lane in lanes for record in takewhile(lambda waiting: waiting.give_up_at <= now, lane)]

    def all(self) -> list[Waiting]:
        return [record for lane in self._lanes.values() for record in lane]
