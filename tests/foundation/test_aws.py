"""Everything that speaks to AWS goes where the given variables say, and says which one is missing."""

import ast
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from botocore.config import Config
from pyarrow import fs

from foundation import aws
from foundation.settings import SettingsError
from tests.support import ROOT

pytestmark = pytest.mark.slow

KEYS = {"AWS_ACCESS_KEY_ID": "AKGIVEN", "AWS_SECRET_ACCESS_KEY": "secret"}
GIVEN = {**KEYS, "AWS_REGION": "eu-west-1"}
ENDPOINT = "http://127.0.0.1:4566"
HALVES = [
    ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
    ("AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID"),
]


class Heard(ThreadingHTTPServer):
    """An endpoint that refuses everything, and notes how each request was signed."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Refuses)
        self.signed: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Refuses(BaseHTTPRequestHandler):
    server: Heard

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.signed.append(self.headers.get("Authorization", ""))
        self.send_response(403)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_PUT = do_POST = do_HEAD = answer  # noqa: N815 - http.server's names

    def log_message(self, *_: object) -> None:
        """Nothing on the terminal."""


@pytest.fixture
def heard() -> Iterator[Heard]:
    server = Heard()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def nothing_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No variables, no files and no instance of AWS. Sessions remember what they found."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    aws._shared_session.cache_clear()
    yield
    aws._shared_session.cache_clear()


@pytest.fixture
def profile(tmp_path: Path) -> str:
    folder = tmp_path / ".aws"
    folder.mkdir()
    (folder / "config").write_text("[profile kitchen]\nregion = eu-north-1\n")
    (folder / "credentials").write_text("[kitchen]\naws_access_key_id = AKPROFILE\naws_secret_access_key = s\n")
    return "kitchen"


@pytest.mark.parametrize(
    ("endpoint", "local"),
    [
        (ENDPOINT, True),
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
    assert aws.is_local(endpoint) is local
    assert aws.reaches_only_local({"AWS_ENDPOINT_URL": endpoint}) is local


def test_one_service_aimed_at_real_aws_is_enough_to_refuse() -> None:
    environ = {"AWS_ENDPOINT_URL": ENDPOINT, "AWS_ENDPOINT_URL_SES": "https://email.amazonaws.com"}
    assert not aws.reaches_only_local(environ)


def test_a_service_with_an_endpoint_of_its_own_is_asked_there() -> None:
    environ = {**GIVEN, "AWS_ENDPOINT_URL": ENDPOINT, "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9000"}
    assert aws.client("s3", environ).meta.endpoint_url == "http://127.0.0.1:9000"
    assert aws.client("kinesis", environ).meta.endpoint_url == ENDPOINT
    assert aws.storage_options(environ)["aws_endpoint"] == "http://127.0.0.1:9000"


@pytest.mark.parametrize("url", ["http://127.0.0.1:4567", "http://[::1]:4567", "https://minio.example"])
def test_the_endpoint_given_beats_the_one_of_the_process(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    assert aws.client("kinesis", {**GIVEN, "AWS_ENDPOINT_URL": url}).meta.endpoint_url == url


def test_without_an_endpoint_it_is_aws_itself() -> None:
    assert aws.client("kinesis", GIVEN).meta.endpoint_url == "https://kinesis.eu-west-1.amazonaws.com"
    assert "aws_endpoint" not in aws.storage_options(GIVEN)


@pytest.mark.parametrize("service", ["kinesis", "dynamodb", "s3", "sns", "ses", "sqs", "sts", "cloudformation"])
def test_every_service_is_made_with_the_given_configuration(service: str) -> None:
    for environ in (GIVEN, {**GIVEN, "AWS_ENDPOINT_URL": ENDPOINT}):
        made = aws.client(service, environ, Config(read_timeout=7))
        assert (made.meta.config.read_timeout, made.meta.region_name) == (7, "eu-west-1")


@pytest.mark.parametrize("process", [{}, {"AWS_ENDPOINT_URL": ENDPOINT, "AWS_ENDPOINT_URL_S3": ENDPOINT}])
def test_client_deltalake_and_arrow_sign_with_the_keys_given(
    heard: Heard, process: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in process.items():
        monkeypatch.setenv(name, value)
    environ = {**GIVEN, "AWS_SESSION_TOKEN": "token", "AWS_ENDPOINT_URL": heard.url}
    assert signers(environ, heard) == ["AKGIVEN"] * 3
    assert aws.storage_options(environ)["aws_session_token"] == "token"


def test_all_three_sign_with_the_keys_of_the_profile_given(heard: Heard, profile: str) -> None:
    """By itself deltalake knows the process' profile alone, and with an endpoint not even that."""
    assert signers({"AWS_PROFILE": profile, "AWS_ENDPOINT_URL": heard.url}, heard) == ["AKPROFILE"] * 3


def test_a_local_aws_asks_for_no_keys_of_anybody(heard: Heard) -> None:
    assert signers({"AWS_REGION": "eu-west-1", "AWS_ENDPOINT_URL": heard.url}, heard) == ["test"] * 3


def signers(environ: Mapping[str, str], heard: Heard) -> list[str]:
    """The access keys that boto3, deltalake and Arrow sign with, in this order."""
    once = Config(retries={"total_max_attempts": 1})
    options = aws.storage_options(environ)
    found = []
    for ask in (
        lambda: aws.client("s3", environ, once).list_buckets(),
        lambda: _open_table(options),
        lambda: aws.arrow_s3(options).get_file_info(fs.FileSelector("bucket")),
    ):
        heard.signed.clear()
        with pytest.raises(Exception, match=r"403|Forbidden|ACCESS_DENIED"):
            ask()
        (key,) = {signed.partition("Credential=")[2].partition("/")[0] for signed in heard.signed}
        found.append(key)
    return found


def _open_table(options: Mapping[str, str]) -> None:
    from deltalake import DeltaTable  # noqa: PLC0415 - as its users do

    DeltaTable("s3://bucket/events", storage_options=dict(options))


def test_the_region_of_the_profile_does_for_all(profile: str) -> None:
    environ = {"AWS_PROFILE": profile}
    assert aws.client("kinesis", environ).meta.region_name == "eu-north-1"
    assert aws.storage_options(environ)["aws_region"] == "eu-north-1"


def test_a_region_that_is_set_beats_the_one_of_the_profile(profile: str) -> None:
    assert aws.region({"AWS_PROFILE": profile, "AWS_REGION": "eu-west-3"}) == "eu-west-3"


@pytest.mark.parametrize("where", [{}, {"AWS_ENDPOINT_URL": ENDPOINT}])
def test_no_region_anywhere_is_told(where: dict[str, str]) -> None:
    for use in (lambda environ: aws.client("s3", environ), aws.storage_options):
        with pytest.raises(SettingsError, match=r"AWS_REGION is not set.* fix: set AWS_REGION"):
            use({**KEYS, **where})


@pytest.mark.parametrize("where", [{}, {"AWS_ENDPOINT_URL": ENDPOINT}])
@pytest.mark.parametrize(("there", "missing"), HALVES)
def test_half_of_the_credentials_is_told(there: str, missing: str, where: dict[str, str], profile: str) -> None:
    environ = {there: "something", "AWS_REGION": "eu-west-1", "AWS_PROFILE": profile, **where}
    for use in (lambda environ: aws.client("s3", environ), aws.storage_options):
        with pytest.raises(SettingsError, match=f"{there} is set and {missing} is not.* fix: set {missing}"):
            use(environ)


def test_many_threads_may_ask_at_once() -> None:
    """boto3's sessions are not made for that: https://github.com/boto/boto3/issues/801."""
    made: list[str] = []
    start = threading.Barrier(8)

    def ask(service: str) -> None:
        start.wait()
        clients = [aws.client(service, {**GIVEN, **where}) for where in ({}, {"AWS_ENDPOINT_URL": ENDPOINT})]
        made.extend(client.meta.service_model.service_name for client in clients)

    services = ["kinesis", "dynamodb", "s3", "sns"] * 2
    threads = [threading.Thread(target=ask, args=(service,)) for service in services]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(made) == sorted(services * 2)


def test_each_loads_its_own_library_alone() -> None:
    script = "import sys; from foundation import aws; {}; print({{'boto3', 'pyarrow'}} & set(sys.modules))"
    for use, loads in (
        (f"aws.storage_options({GIVEN})", "set()"),
        (f"aws.client('s3', {GIVEN})", "{'boto3'}"),
        (f"aws.arrow_s3(aws.storage_options({GIVEN}))", "{'pyarrow'}"),
    ):
        command = [sys.executable, "-c", script.format(use)]
        assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == loads  # noqa: S603


# Where a process begins, and what starts others.
ENTRY_POINTS = {
    "analytics/lake.py",
    "analytics/notebooks/find_the_incident.py",
    "consumers/entrypoints/aws_lambda.py",
    "consumers/entrypoints/kcl.py",
    "takeaway/commands/options.py",
    "takeaway/commands/stack.py",
    "takeaway/explore/serving.py",
    "takeaway/explore/sights.py",
    "takeaway/local/processes.py",
    "takeaway/programs/embedded.py",
    "takeaway/programs/notebook.py",
    "takeaway/stack/environment.py",
}


def test_only_entry_points_read_the_variables_of_the_process() -> None:
    reading = {
        file.relative_to(ROOT).as_posix()
        for package in ("analytics", "consumers", "events", "foundation", "producers", "takeaway")
        for file in (ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in {"environ", "environb", "getenv", "putenv"}
        if isinstance(node.value, ast.Name) and node.value.id == "os"
    }
    assert reading == ENTRY_POINTS
