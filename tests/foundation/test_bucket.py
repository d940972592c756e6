"""Conditional writes: one suite for the bucket in memory and for S3."""

import uuid

import pytest
from botocore.exceptions import ClientError

from foundation.bucket import Bucket, StoredObject, WriteRefused
from tests.support.fakes.bucket import FakeBucket


@pytest.fixture(params=["fake", pytest.param("s3", marks=pytest.mark.local_aws)])
def bucket(request: pytest.FixtureRequest) -> Bucket:
    if request.param == "fake":
        return Bucket(FakeBucket(keys_per_page=2).client, "lake")
    local_aws = request.getfixturevalue("local_aws")
    return Bucket(local_aws.client("s3"), local_aws.environ["TAKEAWAY_LAKE_BUCKET"])


@pytest.fixture
def key() -> str:
    return f"tests/{uuid.uuid4()}/object"


def test_what_is_created_is_read_back(bucket: Bucket, key: str) -> None:
    etag = bucket.create(key, b"one")
    assert bucket.read(key) == StoredObject(b"one", etag)


def test_nothing_is_read_where_nothing_is(bucket: Bucket, key: str) -> None:
    assert bucket.read(key) is None


def test_an_object_is_created_once(bucket: Bucket, key: str) -> None:
    etag = bucket.create(key, b"one")
    with pytest.raises(WriteRefused, match="create"):
        bucket.create(key, b"two")
    assert bucket.read(key) == StoredObject(b"one", etag)


def test_only_who_read_the_newest_may_replace_it(bucket: Bucket, key: str) -> None:
    first = bucket.create(key, b"one")
    second = bucket.replace(key, b"two", first)
    with pytest.raises(WriteRefused, match="replace"):
        bucket.replace(key, b"three", first)
    assert bucket.read(key) == StoredObject(b"two", second)


def test_what_is_gone_cannot_be_replaced(bucket: Bucket, key: str) -> None:
    with pytest.raises(WriteRefused):
        bucket.replace(key, b"two", '"9a0364b9e99bb480dd25e1f0284c8555"')
    assert bucket.read(key) is None


def test_equal_contents_have_equal_etags(bucket: Bucket, key: str) -> None:
    """Which is why every body of the offsets object has a revision of its own."""
    assert bucket.create(key, b"same") == bucket.create(key + "-2", b"same")


def test_all_keys_of_a_prefix_are_listed_over_all_pages(bucket: Bucket, key: str) -> None:
    keys = [f"{key}-{number}" for number in range(5)]
    for one in keys:
        bucket.create(one, b"")
    assert list(bucket.keys(key)) == keys


def test_an_error_that_is_no_refusal_passes_through() -> None:
    fake = FakeBucket()
    fake.fail("put_object", "InternalError")
    with pytest.raises(ClientError, match="InternalError"):
        Bucket(fake.client, "lake").create("key", b"")
    fake.fail("get_object", "AccessDenied")
    with pytest.raises(ClientError, match="AccessDenied"):
        Bucket(fake.client, "lake").read("key")


def test_a_write_that_met_another_one_is_refused() -> None:
    fake = FakeBucket()
    fake.fail("put_object", "ConditionalRequestConflict")
    with pytest.raises(WriteRefused):
        Bucket(fake.client, "lake").create("key", b"")
