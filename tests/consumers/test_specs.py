"""One list of the consumers there are: it fits the choreography and a shard, loads none of them, and all read it."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from consumers import specs
from consumers.specs import CONSUMERS, LAKE_FILLERS, ConsumerSpec, fed_by, listed, named, reader_named, readers
from events.choreography import CHOREOGRAPHY, OBSERVERS, RESTAURANT_NOTIFIER, USER_NOTIFIER, Bound
from foundation.settings import SettingsError
from tests.support import ROOT

PRODUCT = ("analytics", "consumers", "events", "foundation", "producers", "takeaway")
HEAVY = ("boto3", "pyarrow", "pandas", "numpy", "deltalake", "litestar", "duckdb", "httpx")
NOTIFIER = CONSUMERS["restaurant_notifier"]


def test_each_part_that_running_code_plays_is_in_the_list_once() -> None:
    handlers = {step.actor for step in CHOREOGRAPHY if step.bound_by is Bound.HANDLER}
    assert sorted(CONSUMERS) == sorted([*handlers, *OBSERVERS])


@pytest.mark.slow
def test_the_list_loads_no_consumer_and_nothing_heavy() -> None:
    script = f"""
import sys
for name in {HEAVY}:
    sys.modules[name] = None
from consumers.specs import CONSUMERS
print(*CONSUMERS)
print([name for name in sys.modules if name.startswith(("consumers.", "producers", "analytics"))])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)  # noqa: S603
    assert done.stdout.splitlines() == [" ".join(CONSUMERS), "['consumers.specs']"]


@pytest.mark.slow
@pytest.mark.parametrize("spec", CONSUMERS.values(), ids=CONSUMERS)
def test_what_builds_a_consumer_is_where_the_list_says(spec: ConsumerSpec) -> None:
    assert callable(spec.builder())


@pytest.mark.parametrize(
    "part",
    ["chef", replace(RESTAURANT_NOTIFIER, listens_to=USER_NOTIFIER.listens_to), CHOREOGRAPHY[0]],
    ids=["no observer", "a step that is not so in the choreography", "a person's step"],
)
def test_a_consumer_that_plays_no_part_is_named(part: str) -> None:
    spec = replace(NOTIFIER, part=part)
    with pytest.raises(ValueError, match=rf"{spec.name} is in the list .* fix: add it to events/choreography\.py"):
        listed(spec)


def test_a_consumer_that_is_listed_twice_is_named() -> None:
    with pytest.raises(ValueError, match=r"restaurant_notifier is in the list of consumers twice\. fix: "):
        listed(NOTIFIER, replace(NOTIFIER, reads_per_second=0.1))


def test_shares_that_a_shard_has_not_are_named() -> None:
    *others, last = readers().values()
    room = 5 - sum(spec.reads_per_second for spec in others)
    listed(*others, replace(last, reads_per_second=room))
    with pytest.raises(ValueError, match=r"5\.25 times a second, and it allows 5: restaurant_notifier 1\.375, .* fix:"):
        listed(*others, replace(last, reads_per_second=room + 0.25))


ARCHIVER = CONSUMERS["archiver"]
HOSTED = ConsumerSpec(part="looker-on", build="tests.consumers.test_specs:nothing", hosted_by="archiver")


@pytest.fixture
def two_observers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(specs, "OBSERVERS", ("archiver", "tracker", "looker-on"))


@pytest.mark.usefixtures("two_observers")
def test_one_that_is_hosted_has_no_share_and_no_process_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, spec in listed(*CONSUMERS.values(), HOSTED).items():
        monkeypatch.setitem(CONSUMERS, name, spec)
    assert "looker-on" not in readers()
    assert [spec.name for spec in fed_by(ARCHIVER)] == ["archiver", "tracker", "looker-on"]
    assert fed_by(NOTIFIER) == (NOTIFIER,)
    assert (HOSTED.reader, ARCHIVER.reader) == ("archiver", "archiver")
    assert reader_named("archiver") is CONSUMERS["archiver"]
    with pytest.raises(SettingsError, match=r"it is run in that of archiver\. fix: start archiver"):
        reader_named("looker-on")


@pytest.mark.usefixtures("two_observers")
@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"hosted_by": "chef"}, "looker-on is hosted by chef, .* fix: "),
        ({"hosted_by": "looker-on"}, "looker-on is hosted by looker-on, .* fix: "),
        ({"hosted_by": "restaurant_notifier"}, "looker-on is hosted by restaurant_notifier, .* fix: "),
        ({"part": USER_NOTIFIER}, "user_notifier is hosted by archiver, .* fix: "),
        ({"reads_per_second": 0.5}, "is given what its host archiver reads, .* fix: "),
        ({"batch_size": 7}, "is given what its host archiver reads, .* fix: "),
        ({"batching_window": timedelta(1)}, "is given what its host archiver reads, .* fix: "),
        ({"hosted_by": None}, "looker-on has no share of a shard's reads. fix: "),
    ],
)
def test_one_whose_host_does_not_fit_is_named(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        listed(NOTIFIER, ARCHIVER, replace(HOSTED, **changes))


@pytest.mark.usefixtures("two_observers")
def test_a_host_that_is_hosted_itself_is_named() -> None:
    with pytest.raises(ValueError, match="is hosted by looker-on, "):
        listed(replace(ARCHIVER, hosted_by="looker-on", reads_per_second=0), HOSTED)


@pytest.mark.parametrize(
    ("name", "environ", "reads"),
    [
        ("restaurant_notifier", {}, 1.375),
        ("user_notifier", {"TAKEAWAY_READS_PER_SECOND": "2"}, 2.0),
        ("archiver", {"TAKEAWAY_READS_PER_SECOND": "2"}, 0.75),
        ("archiver", {"TAKEAWAY_ARCHIVER_READS_PER_SECOND": "3", "TAKEAWAY_READS_PER_SECOND": "2"}, 3.0),
        ("archiver", {"TAKEAWAY_ARCHIVER_READS_PER_SECOND": ""}, 0.75),
    ],
)
def test_a_share_is_the_environments_or_else_the_lists(name: str, environ: dict[str, str], reads: float) -> None:
    assert CONSUMERS[name].reads(environ) == reads


@pytest.mark.parametrize("share", ["many", "0", "5.5"])
def test_a_share_that_cannot_be_is_named(share: str) -> None:
    with pytest.raises(SettingsError, match=r"TAKEAWAY_ARCHIVER_READS_PER_SECOND.* fix: "):
        CONSUMERS["archiver"].reads({"TAKEAWAY_ARCHIVER_READS_PER_SECOND": share})


def test_an_unknown_consumer_is_refused_with_those_there_are() -> None:
    with pytest.raises(SettingsError, match=r"no consumer is called 'chef'\. fix: name one of restaurant_notifier, "):
        named("chef")


def test_the_lake_is_filled_from_the_beginning_and_in_large_batches() -> None:
    (filler,) = (CONSUMERS[name] for name in LAKE_FILLERS)
    assert not filler.may_start_at_latest
    assert filler.batch_size == 4_000
    assert filler.batching_window == timedelta(minutes=1)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in CONSUMERS if "_" in name or name in OBSERVERS])
def test_a_consumers_name_stands_in_the_choreography_and_its_own_module_alone(name: str) -> None:
    """As a value, that is: "the archiver" in a sentence is a word, and a command's help shows examples.

    One that is built on the flow may be called by any word, and then a text is full of it.
    """
    value = re.compile(rf"(?<!the )(?<!an )\b{name}\b")
    found = {
        file.relative_to(ROOT).as_posix()
        for package in PRODUCT
        for file in (ROOT / package).rglob("*.py")
        if any(value.search(text) for text in texts(file))
    }
    own = CONSUMERS[name].build.partition(":")[0].replace(".", "/") + ".py"
    # The list names the module that builds it, which may be called as the consumer is.
    assert found - {own, "consumers/specs.py"} == {"events/choreography.py"}


def texts(file: Path) -> Iterator[str]:
    """The texts of a module but for its documentation."""
    tree = ast.parse(file.read_text())
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    bodies = [node.body for node in ast.walk(tree) if isinstance(node, documented) and node.body]
    documentation = {id(body[0].value) for body in bodies if isinstance(body[0], ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
            yield node.value
