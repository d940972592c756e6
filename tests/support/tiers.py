"""The tiers of the suite: which there are, what runs them, and what is asked of a test without any mark, a quick one.

A quick test is pure: no process, no connection, and no sleep, which ruff refuses; and it takes 50 ms at most.
`pytest --quick` runs those alone and holds them to it. What counts is CPU time, since on a busy machine wall time says
nothing of a test. CPU time varies too, with the first use of a library and a core that is shared: so more than 50 ms is
listed, and five times as much fails.
"""

import gc
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import hypothesis
import hypothesis.strategies
import pytest

QUICK = "quick"
# From a test's marks the last that is here names its tier: an end-to-end test of the chaos is of the chaos.
COMMANDS: dict[str, str] = {
    QUICK: "make quick",
    "slow": "make test",
    "local_aws": "make test",
    "end_to_end": "make test",
    "long": "make long",
    "nightly": "make states",
    "prove": "make prove",
    "chaos": "make chaos",
    "interop": "make interop",
}
LIMIT_SECONDS = 0.05
FAILS_FROM_SECONDS = 5 * LIMIT_SECONDS

_IMPURE = {"os.fork", "os.posix_spawn", "os.system", "socket.bind", "socket.connect", "subprocess.Popen"}
_MARKED_AS_A_WHOLE = re.compile(rf"^pytestmark = .*\bmark\.({'|'.join(COMMANDS)})\b", re.MULTILINE)
_TIER = "tier"
_CPU = "seconds of CPU"


def tier_of(item: pytest.Item) -> str:
    marks = {mark.name for mark in item.iter_markers()}
    return next((tier for tier in reversed(COMMANDS) if tier in marks), QUICK)


def note_tier(item: pytest.Item) -> None:
    """Written beside the test's report, which may come from another process."""
    item.user_properties.append((_TIER, tier_of(item)))


class Quick:
    """The plugin of `--quick`: no other tests, and a failure for each that is not quick."""

    def __init__(self) -> None:
        self._impure: list[str] = []
        self._is_watching = False
        sys.addaudithook(self._audited)

    def pytest_ignore_collect(self, collection_path: Path) -> bool | None:
        """A module that is marked as a whole is not even imported: half of a quick run would be spent on that."""
        is_test = collection_path.suffix == ".py" and collection_path.name.startswith("test_")
        return True if is_test and _MARKED_AS_A_WHOLE.search(collection_path.read_text()) else None

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        others = [item for item in items if tier_of(item) != QUICK]
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if tier_of(item) == QUICK]

    def pytest_collection_finish(self) -> None:
        # Else the first test of texts pays for hypothesis' table of all characters, which is made once a clone.
        hypothesis.find(hypothesis.strategies.text(min_size=1), bool)
        # Else a test pays, now and then, for looking through all that was imported.
        gc.collect()
        gc.freeze()

    def pytest_sessionfinish(self) -> None:
        gc.unfreeze()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Iterator[None]:
        self._impure.clear()
        self._is_watching, began = True, time.process_time()
        try:
            return (yield)
        finally:
            seconds, self._is_watching = time.process_time() - began, False
            item.user_properties.append((_CPU, seconds))
            if self._impure:
                pytest.fail(f"not pure: {', '.join(self._impure)}. fix: a fake, or mark it slow", pytrace=False)
            if seconds > FAILS_FROM_SECONDS:
                pytest.fail(
                    f"{seconds * 1000:.0f} ms of CPU; a quick test has {LIMIT_SECONDS * 1000:.0f}. "
                    "fix: make less of it, or mark it slow",
                    pytrace=False,
                )

    def _audited(self, event: str, arguments: tuple[object, ...]) -> None:
        if self._is_watching and event in _IMPURE:
            self._impure.append(f"{event}{arguments!r}"[:200])


def write_tiers(reporter: pytest.TerminalReporter, local_aws: str) -> None:
    """Which tiers ran, on what, and which did not."""
    counts = {tier: Counter[str]() for tier in COMMANDS}
    seconds: dict[str, float] = {}
    for outcome in ("passed", "failed", "error", "skipped", "xfailed", "xpassed"):
        for report in reporter.getreports(outcome):
            if isinstance(report, pytest.TestReport):
                noted = dict(report.user_properties)
                counts[str(noted.get(_TIER, QUICK))][outcome] += 1
                if isinstance(taken := noted.get(_CPU), float):
                    seconds[report.nodeid] = taken
    _write_seconds(reporter, seconds)
    reporter.section("tiers")
    for tier, outcomes in counts.items():
        where = f"{tier} on {local_aws}" if tier in {"local_aws", "end_to_end", "long", "chaos"} else tier
        told = ", ".join(f"{number} {outcome}" for outcome, number in outcomes.items())
        reporter.write_line(f"{where:26} {told or f'NOT RUN: deselected; `{COMMANDS[tier]}` does'}")


def _write_seconds(reporter: pytest.TerminalReporter, seconds: Mapping[str, float]) -> None:
    if not seconds:
        return
    reporter.section("seconds of CPU")
    reporter.write_line(f"{sum(seconds.values()):.1f} s in {len(seconds)} tests, without their fixtures")
    for test, taken in sorted(seconds.items(), key=lambda one: -one[1]):
        if taken > LIMIT_SECONDS:
            reporter.write_line(f"{taken * 1000:5.0f} ms, over {LIMIT_SECONDS * 1000:.0f}: {test}")
