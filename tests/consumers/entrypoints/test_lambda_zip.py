"""The zip: complete, small, the same each time, and running where nothing else is installed."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from consumers.entrypoints import lambda_zip

pytestmark = pytest.mark.slow

# Lambda takes 50 MB uploaded at once, 250 MB unpacked: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
MOST_BYTES = 8_000_000

# As the runtime does: import the handler, and call it, in an interpreter that knows the zip and the standard library.
RUNS = """
import json, os, sys
sys.path.insert(0, sys.argv[1])
from consumers.entrypoints.aws_lambda import handle

class Context:
    def get_remaining_time_in_millis(self):
        return 300_000

try:
    handle({}, Context())
except Exception as error:
    loaded = {name.split(".")[0] for name in sys.modules}
    print(json.dumps({"said": str(error), "loaded": sorted(loaded)}))
"""

VARIABLES = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
    "TAKEAWAY_STREAM": "orders",
    "TAKEAWAY_OUTCOMES_TABLE": "outcomes",
    "TAKEAWAY_DEAD_LETTER_BUCKET": "dead-letters",
    "TAKEAWAY_CUSTOMER_KEY_BUCKET": "customer-keys",
    "TAKEAWAY_TICKET_TOPIC": "arn:aws:sns:us-east-1:000000000000:tickets",
    "TAKEAWAY_SENDER": "orders@example.com",
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("lambda") / "function.zip"
    lambda_zip.write(target)
    return target


@pytest.fixture(scope="module")
def unpacked(made: Path) -> Path:
    directory = made.with_suffix("")
    with zipfile.ZipFile(made) as opened:
        opened.extractall(directory)
    return directory


def test_it_is_small(made: Path) -> None:
    assert made.stat().st_size < MOST_BYTES


def test_the_same_files_make_the_same_zip(made: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.zip"
    lambda_zip.write(again)
    assert again.read_bytes() == made.read_bytes()


def test_it_holds_no_test_and_no_cache(made: Path) -> None:
    names = zipfile.ZipFile(made).namelist()
    assert not [name for name in names if name.startswith(("tests/", "takeaway/")) or "__pycache__" in name]


@pytest.mark.parametrize("consumer", ["restaurant_notifier", "user_notifier"])
def test_a_notifier_runs_from_it_alone(unpacked: Path, consumer: str) -> None:
    """Wired, and refusing what is no batch: all without anything that is not in the zip."""
    answered = run(unpacked, {**VARIABLES, "TAKEAWAY_CONSUMER": consumer})
    assert "no batch of a Kinesis event source mapping" in answered["said"]
    assert not {"pyarrow", "pandas", "numpy", "deltalake", "litestar"} & set(answered["loaded"])


def test_a_consumer_that_is_not_named_is_asked_for(unpacked: Path) -> None:
    assert "TAKEAWAY_CONSUMER is not set. fix: set it to one of restaurant_notifier" in run(unpacked, VARIABLES)["said"]


def run(directory: Path, variables: dict[str, str]) -> dict[str, str]:
    # -S and -I: no site-packages, no current directory, none of our own variables.
    command = [sys.executable, "-I", "-S", "-c", RUNS, str(directory)]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=True, timeout=60)  # noqa: S603
    answered: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return answered
