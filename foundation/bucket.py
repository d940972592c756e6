"""A bucket: objects read whole, and written only under a condition."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from foundation.error_codes import error_code

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html: 412 when the condition is not met,
# 409 when another conditional write of the key is under way, 404 when If-Match names an object that is gone, or when
# the parts have become an object already.
_REFUSED = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey", "NoSuchUpload"})


class WriteRefused(Exception):
    """The condition of a write did not hold. That proves nothing: the write may be our own, sent twice by a retry."""


class TooLarge(Exception):
    """An object has more bytes than are wanted. None of them was read."""

    def __init__(self, key: str, size: int, etag: str) -> None:
        super().__init__(f"{key} has {size:,} bytes")
        self.size = size
        self.etag = etag


@dataclass(frozen=True)
class StoredObject:
    body: bytes
    etag: str
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ListedObject:
    """`size` in bytes; `age` in seconds since it was written, by S3's own clock alone."""

    key: str
    size: int
    age: float


class Bucket:
    """Thin over S3. Errors other than a refused condition pass through as botocore raises them."""

    def __init__(self, client: "S3Client", name: str) -> None:
        self._client = client
        self.name = name

    def read(self, key: str, *, most: int | None = None) -> StoredObject | None:
        """The object, or None when there is none. Raises `TooLarge` for one of more than `most` bytes."""
        try:
            answer = self._client.get_object(Bucket=self.name, Key=key)
        except ClientError as error:
            if error_code(error) == "NoSuchKey":
                return None
            raise
        with answer["Body"] as body:
            if most is not None and answer["ContentLength"] > most:
                raise TooLarge(key, answer["ContentLength"], answer["ETag"])
            return StoredObject(body.read(), answer["ETag"], answer.get("Metadata", {}))

    def copy(self, key: str, to: str, etag: str, metadata: Mapping[str, str]) -> bool:
        """Copies exactly the object with this ETag, over whatever is there; False when it is another by now, or gone.

        `metadata` is ASCII, and takes the place of the object's own.
        """
        try:
            self._client.copy_object(
                Bucket=self.name,
                Key=to,
                CopySource={"Bucket": self.name, "Key": key},
                CopySourceIfMatch=etag,
                Metadata=dict(metadata),
                MetadataDirective="REPLACE",
            )
        except ClientError as error:
            if error_code(error) in _REFUSED:
                return False
            raise
        return True

    def read_part(self, key: str, start: int, end: int) -> bytes | None:
        """The object's bytes from `start` up to `end`, as far as it goes; None when there is none."""
        try:
            answer = self._client.get_object(Bucket=self.name, Key=key, Range=f"bytes={start}-{end - 1}")
        except ClientError as error:
            if error_code(error) == "NoSuchKey":
                return None
            if error_code(error) == "InvalidRange":
                return b""
            raise
        return answer["Body"].read()

    def create(self, key: str, body: bytes) -> str:
        """Writes an object that must not exist yet, and answers its ETag."""
        try:
            return self._client.put_object(Bucket=self.name, Key=key, Body=body, IfNoneMatch="*")["ETag"]
        except ClientError as error:
            raise self._named(error, f"create {key}") from error

    def replace(self, key: str, body: bytes, etag: str) -> str:
        """Writes over exactly the object with this ETag, and answers the new one."""
        try:
            return self._client.put_object(Bucket=self.name, Key=key, Body=body, IfMatch=etag)["ETag"]
        except ClientError as error:
            raise self._named(error, f"replace {key}") from error

    def begin_parts(self, key: str) -> str:
        """Begins an object that comes in parts, and answers the id of the upload."""
        return self._client.create_multipart_upload(Bucket=self.name, Key=key)["UploadId"]

    def put_part(self, key: str, upload_id: str, number: int, body: bytes) -> str:
        """A part, numbered from 1; answers its ETag. Nobody sees it yet."""
        return self._client.upload_part(Bucket=self.name, Key=key, UploadId=upload_id, PartNumber=number, Body=body)[
            "ETag"
        ]

    def create_of_parts(self, key: str, upload_id: str, etags: Sequence[str]) -> None:
        """Makes the parts an object that must not exist yet."""
        try:
            self._client.complete_multipart_upload(
                Bucket=self.name,
                Key=key,
                UploadId=upload_id,
                MultipartUpload={"Parts": [{"PartNumber": n, "ETag": etag} for n, etag in enumerate(etags, start=1)]},
                IfNoneMatch="*",
            )
        except ClientError as error:
            raise self._named(error, f"create {key} of {len(etags)} parts") from error

    def abort_parts(self, key: str, upload_id: str) -> None:
        self._client.abort_multipart_upload(Bucket=self.name, Key=key, UploadId=upload_id)

    def size(self, key: str) -> int | None:
        """Of the object in bytes, or None when there is none."""
        try:
            return self._client.head_object(Bucket=self.name, Key=key)["ContentLength"]
        except ClientError as error:
            if error_code(error) in {"404", "NoSuchKey"}:
                return None
            raise

    def create_own(self, key: str, body: bytes) -> None:
        """`create` under a name that nobody else writes: refused, and there with this body, it is our own retry."""
        try:
            self.create(key, body)
        except WriteRefused:
            stored = self.read(key)
            if stored is None or stored.body != body:
                raise

    def delete(self, key: str) -> None:
        """As S3 has it, an object that is not there is deleted as well as one that is."""
        self._client.delete_object(Bucket=self.name, Key=key)

    def keys(self, prefix: str) -> Iterator[str]:
        return (listed.key for listed in self.listed(prefix))

    def listed(self, prefix: str) -> Iterator[ListedObject]:
        for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix):
            now = parsedate_to_datetime(page["ResponseMetadata"]["HTTPHeaders"]["date"])
            for entry in page.get("Contents", []):
                yield ListedObject(entry["Key"], entry["Size"], _seconds_between(entry["LastModified"], now))

    def _named(self, error: ClientError, action: str) -> Exception:
        if error_code(error) in _REFUSED:
            return WriteRefused(f"s3://{self.name}: {action}: {error}")
        return error


def _seconds_between(earlier: datetime, later: datetime) -> float:
    return (later - earlier).total_seconds()
