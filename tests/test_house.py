"""The house has rooms of a size to be known by heart, each with a door that import-linter guards."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from events import STANDINGS
from tests.support import ROOT

# A state as a word of its own, or between quotes in SQL.
SPELLED = re.compile(rf"^({'|'.join(STANDINGS)})\Z|'({'|'.join(STANDINGS)})'")
# A word of LocalStack's.
NOT_OF_ORDERS = {("takeaway/local/aws.py", "completed")}
PACKAGES = ("analytics", "consumers", "events", "examples", "foundation", "producers", "takeaway")
MOST_MODULES = 12


def modules(root: Path) -> Iterator[Path]:
    for package in PACKAGES:
        yield from ((path.relative_to(root)) for path in (root / package).rglob("*.py"))


def leaf_rooms() -> list[str]:
    """Those without rooms in them, by their dotted names."""
    folders = {path.parent for path in modules(ROOT) if path.name == "__init__.py"}
    parents = {folder.parent for folder in folders}
    return sorted(".".join(folder.parts) for folder in folders - parents)


def contracts() -> list[dict[str, Any]]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    found: list[dict[str, Any]] = settings["tool"]["importlinter"]["contracts"]
    return found


def test_a_room_has_a_dozen_modules_at_most() -> None:
    sizes = Counter(str(path.parent) for path in modules(ROOT) if path.stem != "__init__")
    assert len(sizes) > len(PACKAGES)
    assert {room: count for room, count in sizes.items() if count > MOST_MODULES} == {}


def test_each_room_without_rooms_in_it_has_a_guarded_door() -> None:
    guarded = [
        one for contract in contracts() if contract["type"] == "protected" for one in contract["protected_modules"]
    ]
    assert sorted(guarded) == [f"{room}.*" for room in leaf_rooms()]


@pytest.mark.parametrize("room", leaf_rooms())
def test_a_door_says_what_the_room_is_for_and_shows_just_what_it_names(room: str) -> None:
    door = ast.parse((ROOT / room.replace(".", "/") / "__init__.py").read_text(encoding="utf-8"))
    assert ast.get_docstring(door)
    shown = [
        alias.asname or alias.name for node in door.body if isinstance(node, ast.ImportFrom) for alias in node.names
    ]
    named = [
        ast.literal_eval(node.value)
        for node in door.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    ]
    assert sorted(shown) == sorted(*named or [[]])
    beside = {path.stem for path in (ROOT / room.replace(".", "/")).glob("*.py")}
    assert not beside & set(shown), "a module and what the door shows have one name"


@pytest.mark.parametrize("parent", sorted({room.rpartition(".")[0] for room in leaf_rooms()} - {""}))
def test_a_parent_room_loads_nothing(parent: str) -> None:
    init = ast.parse((ROOT / parent.replace(".", "/") / "__init__.py").read_text(encoding="utf-8"))
    assert all(isinstance(node, ast.Expr) for node in init.body)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("importer", "line", "told"),
    [
        (
            "takeaway/errors.py",
            "from analytics.table.log import DeltaLog",
            "Import the name from analytics.table itself; add it to the room's __all__ if others may use it.",
        ),
        (
            "foundation/kinesis/records.py",
            "def later() -> None:\n    from foundation import bucket",
            "No cycles are allowed",
        ),
    ],
)
def test_a_way_around_a_door_and_a_circle_are_told(tmp_path: Path, importer: str, line: str, told: str) -> None:
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with (tmp_path / importer).open("a", encoding="utf-8") as file:
        file.write(f"\n{line}\n")
    if "cycles" in told:
        with (tmp_path / "foundation/bucket.py").open("a", encoding="utf-8") as file:
            file.write("\nfrom foundation.kinesis import Record as Record\n")
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"]
    linted = subprocess.run(  # noqa: S603 - our own arguments
        [*command, "--no-cache"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert linted.returncode == 1, linted.stdout
    assert told in " ".join(linted.stdout.split())


@pytest.mark.slow
def test_the_states_of_an_order_are_spelled_in_one_module() -> None:
    spelled = {
        (str(path), node.value)
        for path in modules(ROOT)
        if str(path) != "events/states.py"
        for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and SPELLED.search(node.value)
    }
    assert spelled == NOT_OF_ORDERS
