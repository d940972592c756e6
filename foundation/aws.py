"""The one way to AWS: every client, deltalake's storage options and Arrow's S3, from the variables that are handed in.

    AWS_ENDPOINT_URL_<SERVICE>, AWS_ENDPOINT_URL                         where; AWS itself without one
    AWS_REGION, AWS_DEFAULT_REGION                                       else the profile's region
    AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN          else the profile's keys
    AWS_PROFILE

What these leave open, boto3 finds in its usual places. Each library is imported where it is used: a reader of the lake
loads no boto3, a notifier no pyarrow.
"""

import threading
from collections.abc import Mapping
from functools import lru_cache
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, overload
from urllib.parse import urlsplit

from foundation.settings import SettingsError

if TYPE_CHECKING:
    import boto3
    from botocore.config import Config
    from localstack_client.session import Session as LocalStackSession
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_kinesis import KinesisClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_ses import SESClient
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient
    from pyarrow.fs import S3FileSystem

# A session makes one client at a time; clients may be shared.
# https://boto3.amazonaws.com/v1/documentation/api/latest/guide/session.html#multithreading-or-multiprocessing-with-sessions
_MAKING = threading.Lock()


class NoRegion(SettingsError):
    """Neither the variables nor boto3's own places name a region."""

    def __init__(self) -> None:
        super().__init__(
            "AWS_REGION is not set, nor is AWS_DEFAULT_REGION, and the AWS profile names no region. "
            "fix: set AWS_REGION, for example to eu-west-1, or `region` in the profile"
        )


class HalfCredentials(SettingsError):
    """An access key without its secret, or the reverse."""

    def __init__(self, there: str, missing: str) -> None:
        super().__init__(
            f"{there} is set and {missing} is not, and neither works alone. fix: set {missing}, or unset {there}"
        )


class _Keys(NamedTuple):
    access_key_id: str
    secret_access_key: str
    session_token: str | None = None


# A local AWS asks for some keys and takes any.
_LOCAL_KEYS = _Keys("test", "test")


def is_local(endpoint: str) -> bool:
    """Whether this endpoint is this machine, or a neighbour container: no mail or load leaves for real AWS."""
    host = urlsplit(endpoint).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return bool(host) and (
            "." not in host or host.endswith((".localhost", ".localstack.cloud", ".docker.internal"))
        )


def reaches_only_local(environ: Mapping[str, str]) -> bool:
    """Whether every endpoint that these variables lead to is local."""
    endpoints = [url for name, url in environ.items() if name.startswith("AWS_ENDPOINT_URL") and url]
    return bool(environ.get("AWS_ENDPOINT_URL")) and all(is_local(endpoint) for endpoint in endpoints)


def endpoint(service: str, environ: Mapping[str, str]) -> str | None:
    """The URL of a service such as `kinesis`; None for AWS itself.

    As https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html says.
    """
    return environ.get(f"AWS_ENDPOINT_URL_{service.upper()}") or environ.get("AWS_ENDPOINT_URL") or None


def region(environ: Mapping[str, str]) -> str:
    """Raises `NoRegion` where boto3 finds none either."""
    named = _named_region(environ) or _session(environ).region_name
    if not named:
        raise NoRegion
    return named


def finds_credentials(environ: Mapping[str, str]) -> bool:
    """Whether there is anything to sign with: in the variables, or where boto3 looks."""
    return _session(environ).get_credentials() is not None


@overload
def client(
    service: Literal["cloudformation"], environ: Mapping[str, str], config: "Config | None" = None
) -> "CloudFormationClient": ...
@overload
def client(
    service: Literal["dynamodb"], environ: Mapping[str, str], config: "Config | None" = None
) -> "DynamoDBClient": ...
@overload
def client(
    service: Literal["kinesis"], environ: Mapping[str, str], config: "Config | None" = None
) -> "KinesisClient": ...
@overload
def client(service: Literal["s3"], environ: Mapping[str, str], config: "Config | None" = None) -> "S3Client": ...
@overload
def client(service: Literal["ses"], environ: Mapping[str, str], config: "Config | None" = None) -> "SESClient": ...
@overload
def client(service: Literal["sns"], environ: Mapping[str, str], config: "Config | None" = None) -> "SNSClient": ...
@overload
def client(service: Literal["sqs"], environ: Mapping[str, str], config: "Config | None" = None) -> "SQSClient": ...
@overload
def client(service: str, environ: Mapping[str, str], config: "Config | None" = None) -> Any: ...
def client(service: str, environ: Mapping[str, str], config: "Config | None" = None) -> Any:
    """A client of boto3, through localstack-client toward a local endpoint. Raises `NoRegion`, `HalfCredentials`.

    Its calls fail in known ways only: `foundation.calls`.
    """
    from foundation.calls import failing_known

    url, keys, place = endpoint(service, environ), _keys(environ), region(environ)
    if url and is_local(url) and (keys or not environ.get("AWS_PROFILE")):
        local = _local_session(url, keys or _LOCAL_KEYS, place)
        with _MAKING:
            made = local.client(service, config=config, aws_session_token=keys.session_token if keys else None)
        return failing_known(made)
    session = _session(environ)
    with _MAKING:
        made = session.client(service, region_name=place, endpoint_url=url, config=config)  # type: ignore[call-overload]
    return failing_known(made)


def storage_options(environ: Mapping[str, str]) -> dict[str, str]:
    """How deltalake reaches S3: it reads neither AWS_ENDPOINT_URL by itself, nor a profile that only `environ` names.

    Keys that expire are left to its own chain, which gets new ones. Raises `NoRegion`, `HalfCredentials`.
    """
    options = {"aws_conditional_put": "etag", "aws_region": region(environ)}
    url = endpoint("s3", environ)
    if url:
        # Only by the longer name does it beat the process' AWS_ENDPOINT_URL_S3; the shorter one is for Arrow.
        options |= {"aws_endpoint": url, "aws_endpoint_url_s3": url}
        options["aws_allow_http"] = str(url.startswith("http://")).lower()
    keys = _keys(environ) or _keys_of_profile(environ)
    if keys is None and url and is_local(url):
        keys = _LOCAL_KEYS
    if keys:
        options |= {"aws_access_key_id": keys.access_key_id, "aws_secret_access_key": keys.secret_access_key}
        if keys.session_token:
            options["aws_session_token"] = keys.session_token
    return options


def arrow_s3(options: Mapping[str, str]) -> "S3FileSystem":
    """Arrow's own S3, by deltalake's `storage_options`."""
    from pyarrow.fs import S3FileSystem

    url = urlsplit(options.get("aws_endpoint", ""))
    return S3FileSystem(
        access_key=options.get("aws_access_key_id"),
        secret_key=options.get("aws_secret_access_key"),
        session_token=options.get("aws_session_token"),
        region=options.get("aws_region"),
        scheme="http" if url.scheme == "http" else "https",
        endpoint_override=url.netloc or None,
    )


def _named_region(environ: Mapping[str, str]) -> str | None:
    return environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or None


def _keys(environ: Mapping[str, str]) -> _Keys | None:
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    there, missing = ([name for name in names if bool(environ.get(name)) is found] for found in (True, False))
    if there and missing:
        raise HalfCredentials(*there, *missing)
    if missing:
        return None
    return _Keys(environ[names[0]], environ[names[1]], environ.get("AWS_SESSION_TOKEN") or None)


def _keys_of_profile(environ: Mapping[str, str]) -> _Keys | None:
    """Those of the profile that `environ` names, unless they expire."""
    from botocore.credentials import RefreshableCredentials

    found = _session(environ).get_credentials() if environ.get("AWS_PROFILE") else None
    if found is None or isinstance(found, RefreshableCredentials):
        return None
    frozen = found.get_frozen_credentials()
    return _Keys(frozen.access_key or "", frozen.secret_key or "", frozen.token)


def _session(environ: Mapping[str, str]) -> "boto3.Session":
    with _MAKING:
        return _shared_session(_keys(environ), _named_region(environ), environ.get("AWS_PROFILE") or None)


@lru_cache(maxsize=8)
def _shared_session(keys: _Keys | None, region_name: str | None, profile: str | None) -> "boto3.Session":
    """One for equal variables: making it costs more than making a client, and what it has found out is kept."""
    import boto3

    access_key_id, secret_access_key, session_token = keys or (None, None, None)
    return boto3.Session(access_key_id, secret_access_key, session_token, region_name, profile_name=profile)


def _local_session(url: str, keys: _Keys, region_name: str) -> "LocalStackSession":
    from localstack_client.session import Session

    session = Session(
        aws_access_key_id=keys.access_key_id, aws_secret_access_key=keys.secret_access_key, region_name=region_name
    )
    # By itself it prefers the AWS_ENDPOINT_URL of the process to what it is told.
    endpoints = session._service_endpoint_mapping  # noqa: SLF001
    endpoints |= dict.fromkeys(endpoints, url)
    return session
