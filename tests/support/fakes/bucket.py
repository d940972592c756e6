"""S3 in memory, with boto3's methods, answers and errors, and conditional writes as S3 has them."""

import copy
import hashlib
import io
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote

from botocore.handlers import handle_copy_source_param

from tests.support.fakes.faults import Service

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

Answer = dict[str, Any]

_LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


_LEAST_PART = 5 * 1024 * 1024


class Gate:
    """Every IO call of the fakes that share it passes through; the one numbered `at`, from 1, meets `event`.

    `event` runs before the call is applied, or after it with `applied`, whatever it answered; it may raise.
    """

    def __init__(self, at: int = 0, event: Callable[[], None] = lambda: None, *, applied: bool = False) -> None:
        self.calls = 0
        self._at = at
        self._event = event
        self._applied = applied

    def through(self, apply: Callable[[], Any]) -> Any:
        self.calls += 1
        met = self.calls == self._at
        if met and not self._applied:
            self._event()
        try:
            return apply()
        finally:
            if met and self._applied:
                self._event()


class FakeBucket(Service):
    """One bucket. `client` is itself, for code that takes boto3's client; `through(gate)` can be cut off."""

    def __init__(self, name: str = "lake", *, keys_per_page: int = 1000) -> None:
        super().__init__("s3")
        self.name = name
        self.objects: dict[str, bytes] = {}
        self.uploads: dict[str, dict[int, bytes]] = {}
        self.written_at: dict[str, datetime] = {}
        self.metadata: dict[str, dict[str, str]] = {}
        # S3's own clock. What a test puts into `objects` itself was written in 2026.
        self.now: Callable[[], datetime] = lambda: _LONG_AGO
        self._keys_per_page = keys_per_page

    def another(self) -> "FakeBucket":
        """An empty bucket of the same name that shares nothing but botocore's model of S3, which is slow to load."""
        other = copy.copy(self)
        other.objects, other.uploads, other.log, other.lock = {}, {}, [], threading.RLock()
        other.written_at, other.metadata = {}, {}
        other._faults, other._lost_answers = defaultdict(deque), defaultdict(deque)
        return other

    @property
    def client(self) -> "S3Client":
        return cast("S3Client", self)

    def through(self, gate: Gate) -> "S3Client":
        return cast("S3Client", _Gated(self, gate))

    def put_object(self, **parameters: Any) -> Answer:
        return self.call("put_object", self._put, parameters)

    def get_object(self, **parameters: Any) -> Answer:
        return self.call("get_object", self._get, parameters)

    def copy_object(self, **parameters: Any) -> Answer:
        handle_copy_source_param(parameters)
        return self.call("copy_object", self._copy, parameters)

    def delete_object(self, **parameters: Any) -> Answer:
        return self.call("delete_object", self._delete, parameters)

    def list_objects_v2(self, **parameters: Any) -> Answer:
        answer = self.call("list_objects_v2", self._list, parameters)
        answer["ResponseMetadata"]["HTTPHeaders"] = {"date": format_datetime(self.now(), usegmt=True)}
        return answer

    def head_object(self, **parameters: Any) -> Answer:
        return self.call("head_object", self._head, parameters)

    def create_multipart_upload(self, **parameters: Any) -> Answer:
        return self.call("create_multipart_upload", self._begin, parameters)

    def upload_part(self, **parameters: Any) -> Answer:
        return self.call("upload_part", self._part, parameters)

    def complete_multipart_upload(self, **parameters: Any) -> Answer:
        return self.call("complete_multipart_upload", self._complete, parameters)

    def abort_multipart_upload(self, **parameters: Any) -> Answer:
        return self.call("abort_multipart_upload", self._abort, parameters)

    def get_paginator(self, operation: str) -> "_Pages":
        assert operation == "list_objects_v2"
        return _Pages(self.list_objects_v2)

    def _head(self, **asked: Any) -> Answer:
        self._check_bucket(asked["Bucket"], "head_object")
        if asked["Key"] not in self.objects:
            raise self.error("head_object", "404", "Not Found")
        body = self.objects[asked["Key"]]
        return {"ETag": _etag(body), "ContentLength": len(body)}

    def _begin(self, **asked: Any) -> Answer:
        self._check_bucket(asked["Bucket"], "create_multipart_upload")
        upload_id = f"upload-{len(self.log)}"
        self.uploads[upload_id] = {}
        return {"UploadId": upload_id}

    def _part(self, **asked: Any) -> Answer:
        self._upload(asked, "upload_part")[asked["PartNumber"]] = asked["Body"]
        return {"ETag": _etag(asked["Body"])}

    def _complete(self, **asked: Any) -> Answer:
        parts = self._upload(asked, "complete_multipart_upload")
        named = [(part["PartNumber"], part["ETag"]) for part in asked["MultipartUpload"]["Parts"]]
        assert named == [(number, _etag(parts[number])) for number in range(1, len(parts) + 1)]
        assert all(len(part) >= _LEAST_PART for part in list(parts.values())[:-1]), "a part is too small"
        body = b"".join(parts[number] for number in sorted(parts))
        answer = self._put(Bucket=asked["Bucket"], Key=asked["Key"], Body=body, IfNoneMatch=asked["IfNoneMatch"])
        del self.uploads[asked["UploadId"]]
        return answer

    def _abort(self, **asked: Any) -> Answer:
        self._upload(asked, "abort_multipart_upload")
        del self.uploads[asked["UploadId"]]
        return {}

    def _upload(self, asked: Answer, operation: str) -> dict[int, bytes]:
        self._check_bucket(asked["Bucket"], operation)
        if asked["UploadId"] not in self.uploads:
            raise self.error(operation, "NoSuchUpload", "The specified multipart upload does not exist")
        return self.uploads[asked["UploadId"]]

    def _put(self, **asked: Any) -> Answer:
        self._check_bucket(asked["Bucket"], "put_object")
        stored = self.objects.get(asked["Key"])
        if "IfMatch" in asked and stored is None:
            raise self.error("put_object", "NoSuchKey", "The specified key does not exist.")
        exists_already = "IfNoneMatch" in asked and stored is not None
        is_another = "IfMatch" in asked and stored is not None and _etag(stored) != asked["IfMatch"]
        if exists_already or is_another:
            raise self.error("put_object", "PreconditionFailed", "At least one of the pre-conditions did not hold")
        self.objects[asked["Key"]] = asked["Body"]
        self.written_at[asked["Key"]] = self.now()
        self.metadata[asked["Key"]] = asked.get("Metadata", {})
        return {"ETag": _etag(asked["Body"])}

    def _copy(self, **asked: Any) -> Answer:
        bucket, _, source = unquote(asked["CopySource"]).partition("/")
        self._check_bucket(asked["Bucket"], "copy_object")
        self._check_bucket(bucket, "copy_object")
        assert asked["MetadataDirective"] == "REPLACE"
        assert all(value.isascii() and value.strip() == value for value in asked["Metadata"].values())
        assert sum(map(len, asked["Metadata"].values())) < 2048
        body = self.objects.get(source)
        if body is None:
            raise self.error("copy_object", "NoSuchKey", "The specified key does not exist.")
        if asked["CopySourceIfMatch"] != _etag(body):
            raise self.error("copy_object", "PreconditionFailed", "At least one of the pre-conditions did not hold")
        self._put(Bucket=asked["Bucket"], Key=asked["Key"], Body=body, Metadata=asked["Metadata"])
        return {"CopyObjectResult": {"ETag": _etag(body)}}

    def _get(self, **asked: Any) -> Answer:
        self._check_bucket(asked["Bucket"], "get_object")
        body = self.objects.get(asked["Key"])
        if body is None:
            raise self.error("get_object", "NoSuchKey", "The specified key does not exist.")
        if "Range" in asked:
            first, _, last = asked["Range"].removeprefix("bytes=").partition("-")
            if int(first) >= len(body):
                raise self.error("get_object", "InvalidRange", "The requested range is not satisfiable")
            body = body[int(first) : int(last) + 1]
        metadata = self.metadata.get(asked["Key"], {})
        return {"Body": io.BytesIO(body), "ETag": _etag(body), "ContentLength": len(body), "Metadata": metadata}

    def _delete(self, **asked: Any) -> Answer:
        """As S3 has it, an object that is not there is deleted as well as one that is."""
        self._check_bucket(asked["Bucket"], "delete_object")
        self.objects.pop(asked["Key"], None)
        return {}

    def _list(self, **asked: Any) -> Answer:
        self._check_bucket(asked["Bucket"], "list_objects_v2")
        prefix, behind = asked.get("Prefix", ""), asked.get("ContinuationToken", "")
        keys = sorted(key for key in self.objects if key.startswith(prefix) and key > behind)
        page = keys[: self._keys_per_page]
        answer: Answer = {"IsTruncated": len(page) < len(keys), "KeyCount": len(page)}
        if page:
            answer["Contents"] = [
                {"Key": key, "Size": len(self.objects[key]), "LastModified": self.written_at.get(key, _LONG_AGO)}
                for key in page
            ]
        if answer["IsTruncated"]:
            answer["NextContinuationToken"] = page[-1]
        return answer

    def _check_bucket(self, bucket: str, operation: str) -> None:
        if bucket != self.name:
            raise self.error(operation, "NoSuchBucket", "The specified bucket does not exist")


class _Pages:
    def __init__(self, list_page: Callable[..., Answer]) -> None:
        self._list_page = list_page

    def paginate(self, **parameters: Any) -> Iterator[Answer]:
        page = self._list_page(**parameters)
        yield page
        while page["IsTruncated"]:
            page = self._list_page(**parameters, ContinuationToken=page["NextContinuationToken"])
            yield page


class _Gated:
    """A holder's own connection to the bucket."""

    def __init__(self, bucket: FakeBucket, gate: Gate) -> None:
        self._bucket = bucket
        self._gate = gate

    def put_object(self, **parameters: Any) -> Answer:
        return cast("Answer", self._gate.through(lambda: self._bucket.put_object(**parameters)))

    def get_object(self, **parameters: Any) -> Answer:
        return cast("Answer", self._gate.through(lambda: self._bucket.get_object(**parameters)))

    def copy_object(self, **parameters: Any) -> Answer:
        return cast("Answer", self._gate.through(lambda: self._bucket.copy_object(**parameters)))

    def delete_object(self, **parameters: Any) -> Answer:
        return cast("Answer", self._gate.through(lambda: self._bucket.delete_object(**parameters)))

    def head_object(self, **parameters: Any) -> Answer:
        return cast("Answer", self._gate.through(lambda: self._bucket.head_object(**parameters)))

    def create_multipart_upload(self, **parameters: Any) -> Answer:
        return cast("Answer", self._gate.through(lambda: self._bucket.create_multipart_upload(**parameters)))

    def upload_part(self, **parameters: Any) -> Answer:
        return cast("Answer", self._gate.through(lambda: self._bucket.upload_part(**parameters)))

    def complete_multipart_upload(self, **parameters: Any) -> Answer:
        return cast("Answer", self._gate.through(lambda: self._bucket.complete_multipart_upload(**parameters)))

    def abort_multipart_upload(self, **parameters: Any) -> Answer:
        return cast("Answer", self._gate.through(lambda: self._bucket.abort_multipart_upload(**parameters)))

    def get_paginator(self, operation: str) -> _Pages:
        assert operation == "list_objects_v2"
        list_page = self._bucket.list_objects_v2
        return _Pages(lambda **parameters: self._gate.through(lambda: list_page(**parameters)))


def _etag(body: bytes) -> str:
    """A hash of the content, as S3 has it: equal bodies have equal ETags."""
    return f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'
