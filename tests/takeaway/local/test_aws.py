"""Telling this machine from real AWS, so that load and mail never go there by accident."""

import pytest

from takeaway.local import aws as local_aws


@pytest.mark.parametrize(
    ("endpoint", "local"),
    [
        ("http://127.0.0.1:4566", True),
        ("http://localhost:4566", True),
        ("http://[::1]:4566", True),
        ("http://localstack:4566", True),
        ("http://localhost.localstack.cloud:4566", True),
        ("https://kinesis.us-east-1.amazonaws.com", False),
        ("http://8.8.8.8:4566", False),
        ("http://localstack.cloud.evil.example", False),
        ("", False),
    ],
)
def test_load_and_mail_know_a_local_endpoint_from_the_real_thing(endpoint: str, *, local: bool) -> None:
    assert local_aws.reaches_only_local({"AWS_ENDPOINT_URL": endpoint}) is local


def test_one_service_aimed_at_real_aws_is_enough_to_refuse() -> None:
    environ = {"AWS_ENDPOINT_URL": "http://127.0.0.1:4566", "AWS_ENDPOINT_URL_SES": "https://email.amazonaws.com"}
    assert not local_aws.reaches_only_local(environ)
