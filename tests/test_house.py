"""The house has rooms of a size to be known by heart, and arrows between them that lead one way."""

import ast
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from pathlib import Path

import pytest

from tests.support import ROOT

PACKAGES = ("analytics", "consumers", "events", "foundation", "producers", "takeaway")
MOST_MODULES = 12

Arrows = Mapping[tuple[str, str], str]


def modules(root: Path) -> dict[str, Path]:
    """By name; a folder stands for its `__init__`."""
    found = {}
    for package in PACKAGES:
        for path in (root / package).rglob("*.py"):
            parts = path.relative_to(root).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(path: Path, known: Mapping[str, Path]) -> Iterator[tuple[str, int]]:
    """The modules of ours that a file imports, in functions and for types too, and the lines that say so."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}:{node.lineno} is relative. fix: import by the full name"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            while name and name not in known:
                name = name.rpartition(".")[0]  # noqa: PLW2901 - a name in a module stands for the module
            if name:
                yield name, node.lineno


def arrows(root: Path) -> Arrows:
    """Who imports whom among neighbours, modules or rooms with all inside, and one import that makes it so.

    Where neighbours form no circle, at any level, no modules and no rooms do.
    """
    known, found = modules(root), dict[tuple[str, str], str]()
    for name, path in known.items():
        for other, line in imports(path, known):
            ours, theirs = name.split("."), other.split(".")
            level = next((at for at, pair in enumerate(zip(ours, theirs, strict=False)) if pair[0] != pair[1]), None)
            # A folder's own `__init__` and what is in it are no neighbours.
            if level is not None:
                pair = ".".join(ours[: level + 1]), ".".join(theirs[: level + 1])
                found.setdefault(pair, f"{path.relative_to(root)}:{line} imports {other}")
    return found


def circle(found: Arrows) -> list[str]:
    """The imports that lead from some room back to it; none when there is no circle."""
    graph = defaultdict[str, set[str]](set)
    for one, other in found:
        graph[one].add(other)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        around: list[str] = error.args[1]
        # It is told from each to who imports it.
        return [found[one, other] for other, one in pairwise(around)]
    return []


@pytest.mark.slow
def test_no_room_is_reached_from_what_it_imports() -> None:
    assert circle(arrows(ROOT)) == []


def test_a_room_has_a_dozen_modules_at_most() -> None:
    sizes = Counter(str(path.parent.relative_to(ROOT)) for path in modules(ROOT).values() if path.stem != "__init__")
    assert len(sizes) > len(PACKAGES)
    assert {room: count for room, count in sizes.items() if count > MOST_MODULES} == {}


@pytest.mark.parametrize(
    "way_back",
    [
        "from analytics.upper.one import x",
        "import analytics.upper.one",
        "from analytics.upper import one",
        "def later():\n    from analytics.upper.one import x",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from analytics.upper.one import x",
    ],
)
def test_a_circle_is_found_however_it_is_closed(way_back: str, tmp_path: Path) -> None:
    for path, text in (
        ("analytics/upper/one.py", "from analytics.lower import two"),
        ("analytics/lower/two.py", ""),
        ("analytics/lower/deep/three.py", way_back),
    ):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
        (tmp_path / path).with_name("__init__.py").touch()
    told = circle(arrows(tmp_path))
    assert len(told) == 2
    assert "analytics/upper/one.py:1 imports analytics.lower.two" in told
