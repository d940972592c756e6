"""An object that is written as its bytes come: in parts when it is large, so that only one part is held in memory."""

import io
from types import TracebackType
from typing import Any

from foundation.bucket import Bucket, WriteRefused

# https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html: parts have 5 MiB, at most 10,000 of them.
PART_SIZE = 8 * 1024 * 1024


class ObjectWriter(io.RawIOBase):
    """A file to write to; the object is there, whole, once the block has ended well, and not at all before.

    Nobody else writes a name like this one: what is refused and there in the same size is our own write, sent twice by
    a retry. When the block ends with an error the parts are given up; those of a process that died, S3 is told to
    remove after a day.
    """

    def __init__(self, bucket: Bucket, key: str, *, part_size: int = PART_SIZE) -> None:
        super().__init__()
        self.size = 0
        self._bucket = bucket
        self._key = key
        self._part_size = part_size
        self._held = bytearray()
        self._upload_id: str | None = None
        self._parts: list[str] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        """Bytes, or a buffer of them."""
        count = memoryview(data).nbytes
        self._held += data
        self.size += count
        while len(self._held) > self._part_size:
            self._put(bytes(self._held[: self._part_size]))
            del self._held[: self._part_size]
        return count

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # guarantee: a large file is whole or not there
        if error is None:
            self._finish()
        elif self._upload_id is not None and isinstance(error, Exception):
            self._bucket.abort_parts(self._key, self._upload_id)

    def _put(self, part: bytes) -> None:
        if self._upload_id is None:
            self._upload_id = self._bucket.begin_parts(self._key)
        self._parts.append(self._bucket.put_part(self._key, self._upload_id, len(self._parts) + 1, part))

    def _finish(self) -> None:
        try:
            if self._upload_id is None:
                self._bucket.create(self._key, bytes(self._held))
            else:
                self._put(bytes(self._held))
                self._bucket.create_of_parts(self._key, self._upload_id, self._parts)
        except WriteRefused:
            if self._bucket.size(self._key) != self.size:
                raise
