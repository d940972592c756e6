"""What a stranger on this machine would try with the embedded local AWS: a web page, a DNS name, another user."""

import http.client
import json
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import pytest
from botocore.exceptions import ClientError, WaiterError

from foundation import aws
from takeaway.local import backends
from takeaway.local.guard import is_loopback, keys_in, refusal
from tests.conftest import LocalAws, the_backend

KEY = "TAKEAWAY0123456789"
HOST = (b"host", b"127.0.0.1:4566")


def signed(key: str, scheme: str = "AWS4-HMAC-SHA256") -> tuple[bytes, bytes]:
    text = f"{scheme} Credential={key}/20260314/us-east-1/sns/aws4_request, SignedHeaders=host, Signature=0"
    return b"authorization", text.encode()


OURS = signed(KEY)


@pytest.mark.parametrize(
    ("given", "query"),
    [
        ([OURS], b""),
        ([(b"Authorization", OURS[1])], b""),
        ([signed(KEY, "AWS4-ECDSA-P256-SHA256")], b""),
        (
            [(b"authorization", f"AWS4-HMAC-SHA256 SignedHeaders=host,Signature=0,Credential={KEY}/a/b".encode())],
            b"",
        ),
        ([(b"authorization", f"AWS {KEY}:signature".encode())], b""),
        ([], f"X-Amz-Credential={KEY}%2F20260314%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Signature=0".encode()),
        ([], f"AWSAccessKeyId={KEY}&Signature=0&Expires=1".encode()),
        ([signed("000000000000"), (b"x-amz-security-token", KEY.encode())], b""),
    ],
)
def test_the_key_opens_wherever_aws_takes_one(given: Sequence[tuple[bytes, bytes]], query: bytes) -> None:
    assert refusal("POST", "/", query, [HOST, *given], KEY) is None


@pytest.mark.parametrize(
    ("given", "query"),
    [
        ([], b""),
        ([signed("test")], b""),
        ([signed(KEY[:-1])], b""),
        ([signed(f"{KEY}0")], b""),
        ([signed("")], b""),
        ([(b"authorization", b"Bearer " + KEY.encode())], b""),
        ([(b"authorization", b"")], b""),
        ([(b"authorization", b"AWS :")], b""),
        ([], b"X-Amz-Credential=&AWSAccessKeyId="),
        ([], b"X-Amz-Credential=test%2F20260314"),
        ([(b"x-amz-security-token", b"\xff\xfe")], b"AWSAccessKeyId=%ff"),
        ([(b"x-access-key", KEY.encode())], KEY.encode()),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH"])
def test_without_it_nothing_opens(method: str, given: Sequence[tuple[bytes, bytes]], query: bytes) -> None:
    refused = refusal(method, "/", query, [HOST, *given], KEY)
    assert refused is not None
    assert refused.code == "InvalidClientTokenId"
    assert "takeaway env" in refused.message


@pytest.mark.parametrize("path", ["/", "/_localstack/health", "/bucket/key"])
@pytest.mark.parametrize("name", [b"origin", b"Origin", b"sec-fetch-site", b"Sec-Fetch-Mode"])
@pytest.mark.parametrize("value", [b"null", b"http://127.0.0.1:4566", b"same-origin", b"none", b""])
def test_no_page_opens_it_though_it_had_the_key(path: str, name: bytes, value: bytes) -> None:
    refused = refusal("GET", path, b"", [HOST, OURS, (name, value)], KEY)
    assert refused is not None
    assert refused.code == "AccessDenied"


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.0.0.1:4566", "127.1.2.3", "localhost:1", "LOCALHOST", "localhost.", "[::1]:4566", "b.localhost"],
)
def test_a_loopback_name(host: str) -> None:
    assert is_loopback(host)
    assert refusal("GET", "/", b"", [(b"host", host.encode()), OURS], KEY) is None


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "notlocalhost",
        "localhost.localstack.cloud",
        "0.0.0.0",  # noqa: S104 - a name, bound to nothing
        "10.0.0.1:4566",
        "[::ffff:10.0.0.1]",
        "127.0.0.1@evil.example",
        "127.0.0.1, evil.example",
        "2130706433",
        "[::1",
        "evil.example:80:127.0.0.1",
        "\xff",
    ],
)
@pytest.mark.parametrize("path", ["/", "/_localstack/health"])
def test_a_name_that_dns_could_lead_here_opens_nothing(host: str, path: str) -> None:
    assert refusal("GET", path, b"", [(b"host", host.encode("latin-1")), OURS], KEY) is not None


def test_no_host_and_two_hosts_open_nothing() -> None:
    assert refusal("GET", "/", b"", [OURS], KEY) is not None
    assert refusal("GET", "/", b"", [HOST, (b"Host", b"evil.example"), OURS], KEY) is not None


def test_only_whether_it_is_up_is_open() -> None:
    def opens(method: str, path: str) -> bool:
        return refusal(method, path, b"", [HOST], KEY) is None

    assert opens("GET", "/_localstack/health")
    assert opens("HEAD", "/_localstack/init/ready")
    closed = (
        "/_ministack/ses/messages",
        "/_ministack/reset",
        "/_ministack/health",
        "/_localstack/health/",
        "/_aws/ses",
    )
    assert not any(opens("GET", path) for path in closed)
    assert not opens("POST", "/_localstack/health")


def test_a_key_in_a_form_is_none() -> None:
    """The body is not read: S3's forms, which nothing here sends, are for pages."""
    assert keys_in(b"", [HOST]) == []


# The real one.

embedded = pytest.mark.skipif(the_backend() is not backends.EMBEDDED, reason="docs/backends.md: LocalStack asks nobody")

INLINE_LAMBDA = {
    "Resources": {
        "F": {
            "Type": "AWS::Lambda::Function",
            "Properties": {
                "Runtime": "python3.11",
                "Handler": "index.handler",
                "Role": "arn:aws:iam::000000000000:role/x",
                "Code": {"ZipFile": "def handler(event, context): ..."},
            },
        }
    }
}
CUSTOM = {"Resources": {"C": {"Type": "Custom::Thing", "Properties": {"ServiceToken": "arn:aws:lambda:::function:f"}}}}
LONG_CUSTOM = "AWS::CloudFormation::CustomResource"
CUSTOM_LONG = {
    "Resources": {
        "C": {
            "Type": LONG_CUSTOM,
            "Properties": {"ServiceToken": "arn:aws:sns:us-east-1:000000000000:topic"},
        }
    }
}


def sent(
    endpoint: str, headers: dict[str, str], body: str = "", method: str = "POST", path: str = "/"
) -> tuple[int, bytes]:
    client = http.client.HTTPConnection(urlsplit(endpoint).netloc, timeout=60)
    try:
        client.putrequest(method, path, skip_host="Host" in headers)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            client.putheader(name, value)
        client.endheaders(body.encode())
        answer = client.getresponse()
        return answer.status, answer.read()
    finally:
        client.close()


@embedded
@pytest.mark.slow
@pytest.mark.local_aws
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": signed("test")[1].decode()},
        {"Origin": "https://evil.example", "key": "ours"},
        {"Sec-Fetch-Site": "cross-site", "key": "ours"},
        {"Host": "evil.example", "key": "ours"},
    ],
)
def test_a_strangers_form_deploys_nothing(local_aws: LocalAws, headers: dict[str, str]) -> None:
    """As a page would send it: a form needs no preflight."""
    headers = {"Content-Type": "application/x-www-form-urlencoded", **headers}
    if headers.pop("key", None):
        headers["Authorization"] = signed(local_aws.environ["AWS_ACCESS_KEY_ID"])[1].decode()
    form = {"Action": "CreateStack", "StackName": "strangers", "TemplateBody": json.dumps(INLINE_LAMBDA)}
    status, body = sent(local_aws.endpoint, headers, urlencode(form))
    assert status == HTTPStatus.FORBIDDEN, body
    with pytest.raises(ClientError, match="does not exist"):
        local_aws.client("cloudformation").describe_stacks(StackName="strangers")


@embedded
@pytest.mark.slow
@pytest.mark.local_aws
@pytest.mark.parametrize("service", ["cloudformation", "dynamodb", "kinesis", "s3", "ses", "sns", "sqs", "sts"])
def test_every_sdk_tells_a_wrong_key_with_the_fix(local_aws: LocalAws, service: str) -> None:
    wrong = {**local_aws.environ, "AWS_ACCESS_KEY_ID": "test"}
    asked = {
        "cloudformation": "list_stacks",
        "dynamodb": "list_tables",
        "kinesis": "list_streams",
        "s3": "list_buckets",
        "ses": "list_identities",
        "sns": "list_topics",
        "sqs": "list_queues",
        "sts": "get_caller_identity",
    }
    with pytest.raises(ClientError, match=r'not that of this local AWS\. fix: eval "\$\(takeaway env\)"'):
        getattr(aws.client(service, wrong), asked[service])()


@embedded
@pytest.mark.slow
@pytest.mark.local_aws
@pytest.mark.parametrize(("kind", "template"), [("AWS::Lambda::Function", INLINE_LAMBDA), (LONG_CUSTOM, CUSTOM_LONG)])
def test_what_runs_code_is_no_resource_here_even_with_the_key(
    local_aws: LocalAws, kind: str, template: dict[str, Any]
) -> None:
    cloudformation = local_aws.client("cloudformation")
    with pytest.raises(ClientError, match=rf"Unrecognized resource types: \[{kind}\]"):
        cloudformation.create_stack(StackName="runs-code", TemplateBody=json.dumps(template))


@embedded
@pytest.mark.slow
@pytest.mark.local_aws
def test_a_custom_resource_is_none_either(local_aws: LocalAws) -> None:
    cloudformation, stack = local_aws.client("cloudformation"), "custom"
    cloudformation.create_stack(StackName=stack, TemplateBody=json.dumps(CUSTOM))
    with pytest.raises(WaiterError):
        cloudformation.get_waiter("stack_create_complete").wait(
            StackName=stack, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
        )
    events = cloudformation.describe_stack_events(StackName=stack)["StackEvents"]
    assert any("Unsupported resource type" in event.get("ResourceStatusReason", "") for event in events), events


@embedded
@pytest.mark.slow
@pytest.mark.local_aws
def test_lambda_is_not_there_unless_it_was_asked_for(local_aws: LocalAws) -> None:
    with pytest.raises(ClientError):
        local_aws.client("lambda").list_functions()


@embedded
@pytest.mark.slow
@pytest.mark.local_aws
def test_a_presigned_url_works_as_it_is(local_aws: LocalAws) -> None:
    s3 = local_aws.client("s3")
    bucket = local_aws.environ["TAKEAWAY_LAKE_BUCKET"]
    s3.put_object(Bucket=bucket, Key="presigned", Body=b"as it is")
    url = urlsplit(s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "presigned"}))
    target = f"{url.path}?{url.query}"
    assert sent(local_aws.endpoint, {}, method="GET", path=target) == (200, b"as it is")
    wrong = target.replace(quote(local_aws.environ["AWS_ACCESS_KEY_ID"]), "test")
    assert sent(local_aws.endpoint, {}, method="GET", path=wrong)[0] == HTTPStatus.FORBIDDEN


@embedded
@pytest.mark.slow
@pytest.mark.local_aws
def test_customers_mail_is_read_with_the_key_alone(local_aws: LocalAws) -> None:
    path = "/_ministack/ses/messages"
    assert sent(local_aws.endpoint, {}, method="GET", path=path)[0] == HTTPStatus.FORBIDDEN
    ours = {"Authorization": signed(local_aws.environ["AWS_ACCESS_KEY_ID"])[1].decode()}
    assert sent(local_aws.endpoint, ours, method="GET", path=path)[0] == HTTPStatus.OK
