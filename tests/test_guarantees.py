"""Each guarantee is deleted from a copy of the code: the test that is named here must then fail.

`pytest tests/test_guarantees.py -v` is the table. A guarantee whose code has moved fails too, until it is found again.
"""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
COPIED = ("analytics", "consumers", "events", "foundation", "producers", "takeaway", "tests", "localstack", "docs")


pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Guarantee:
    """What is promised, the code that keeps the promise, that code without it, and the test that must miss it."""

    name: str
    file: str
    code: str
    without: str
    test: str

    def __str__(self) -> str:
        return self.name


GUARANTEES = (
    Guarantee(
        "only rejected entries are sent again",
        "producers/publisher.py",
        'if result and "ErrorCode" not in result and "SequenceNumber" in result and "ShardId" in result:',
        'if result and not any("ErrorCode" in one for one in results) and "SequenceNumber" in result:',
        "tests/producers/test_publisher.py::test_only_the_rejected_are_sent_again",
    ),
    Guarantee(
        "a request holds one event of an order",
        "producers/lanes.py",
        "        for lane in self._lanes.values():\n            head = lane[0]\n",
        "        for head in [record for lane in self._lanes.values() for record in lane]:\n",
        "tests/producers/test_publisher.py::test_order_holds_through_partial_failures",
    ),
    Guarantee(
        "a checkpoint follows its effect",
        "consumers/engines/worker/shard_worker.py",
        "                progress = processor.process(batch)\n",
        "                if batch.records:\n"
        "                    self._checkpoint(Progress(batch.records[-1].sequence_number))\n"
        "                progress = processor.process(batch)\n",
        "tests/consumers/engines/test_worker.py::test_a_checkpoint_is_never_written_before_its_effect",
    ),
    Guarantee(
        "progress waits for Kinesis' acknowledgement",
        "consumers/step_processor.py",
        "                if publication is not None:\n                    publication.result()\n",
        "                pass\n",
        "tests/consumers/test_step_processor.py::test_progress_never_runs_ahead_of_an_acknowledgement",
    ),
    Guarantee(
        "an outcome is remembered before it is told",
        "consumers/step_processor.py",
        "return self._outcomes.remember(heard.event_id, encode(follows))",
        "return encode(follows)",
        "tests/consumers/test_step_processor.py::test_hearing_again_repeats_no_effect_and_publishes_the_very_same_event",
    ),
    Guarantee(
        "a lease is written only by who saw its last counter",
        "consumers/engines/worker/lease_table.py",
        "                ConditionExpression=condition,\n",
        "                ConditionExpression=condition.replace('leaseCounter = :seen', ':seen = :seen'),\n",
        "tests/contracts/test_leases.py::test_a_lease_that_was_taken_can_neither_be_renewed_nor_checkpointed",
    ),
    Guarantee(
        "the log is compared before a commit",
        "analytics/sink.py",
        "if version != batch.pending.n - 1:",
        "if version < 0:",
        "tests/analytics/test_exactly_once.py::test_a_zombie_that_sleeps_at_any_call_through_its_successors_life",
    ),
    Guarantee(
        "a commit that may be in flight is fenced",
        "analytics/recovery.py",
        "                self._fence(snapshot, offsets, pending)\n",
        "                unfenced = msgspec.structs.replace(offsets, pending=None)\n"
        "                self._held = self._object.replace(self.held, unfenced)\n"
        "                return Verdict.CLEAN\n",
        "tests/analytics/test_exactly_once.py::test_a_zombie_that_wakes_between_its_successors_opening_and_its_commit",
    ),
    Guarantee(
        "a token's signature is checked",
        "producers/tokens.py",
        "if not hmac.compare_digest(signature.encode(), self._signature(claims).encode()):",
        "if not signature:",
        "tests/producers/test_api.py::test_a_token_of_another_key_is_401",
    ),
    Guarantee(
        "a restaurant touches only its own orders",
        "producers/commands.py",
        "if order.placed.restaurant_id != restaurant_id:",
        "if not restaurant_id:",
        "tests/producers/test_api.py::test_another_restaurant_cannot_touch_an_order",
    ),
    Guarantee(
        "no name and no address reaches the lake",
        "analytics/schema.py",
        '    pa.field("customer_id", pa.string()),\n',
        '    pa.field("customer_id", pa.string()),\n    pa.field("customer_email", pa.string()),\n',
        "tests/analytics/test_decode.py::test_names_and_addresses_are_nowhere_in_the_file",
    ),
)


def copied(to: Path) -> Path:
    for name in COPIED:
        shutil.copytree(ROOT / name, to / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, to / name)
    return to


def run_tests(copy: Path, *tests: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(  # noqa: S603 - our own arguments
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:randomly", "-p", "no:cacheprovider", *tests],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_with_their_code_none_is_missed(tmp_path: Path) -> None:
    done = run_tests(copied(tmp_path), *(guarantee.test for guarantee in GUARANTEES))
    assert done.returncode == 0, done.stdout[-3000:]


@pytest.mark.parametrize("guarantee", GUARANTEES, ids=str)
def test_without_its_code_a_guarantee_is_missed(guarantee: Guarantee, tmp_path: Path) -> None:
    mutated = copied(tmp_path) / guarantee.file
    source = mutated.read_text()
    assert source.count(guarantee.code) == 1, f"{guarantee.file} no longer has the code of: {guarantee.name}"
    mutated.write_text(source.replace(guarantee.code, guarantee.without))

    done = run_tests(tmp_path, guarantee.test)
    assert done.returncode == 1, f"{guarantee.test} does not miss it:\n{done.stdout[-3000:]}{done.stderr[-1000:]}"
    assert "FAILED" in done.stdout, done.stdout
