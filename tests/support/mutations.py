"""Statements of the product that carry a marker, and ways to spoil one.

A marker is a comment, alone on its line, right above what it is about:

    # guarantee: a checkpoint follows its effect
    progress = self._processor.process(batch)

It belongs to what begins on the next line of code: a statement, an `except`, or an argument of a call. A mutation
changes that in the syntax tree, so neither a move, nor a rename of the module, nor another layout of it matters.
"""

import ast
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

_TEST = re.compile(r"^def (test_\w+)\(", re.MULTILINE)
_MARKER = re.compile(r"\s*# guarantee: (?P<name>.*\S)\s*")


class MarkerProblem(Exception):
    """A guarantee and its marker do not find each other."""


class MutationProblem(Exception):
    """A mutation does not fit what stands behind its marker."""


@dataclass(frozen=True)
class Marker:
    """A marker: what it names, and where it stands, a line counted from 1."""

    name: str
    file: Path
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


Mutation = Callable[[list[ast.AST], int], None]
"""Changes the element at a place of a list of the tree: of a body, of handlers, of arguments."""


def deleted(among: list[ast.AST], at: int) -> None:
    """Without the statement, or without the argument."""
    if isinstance(among[at], ast.stmt):
        among[at] = ast.Pass()
    else:
        del among[at]


def becomes(expression: str) -> Mutation:
    """Another value that is assigned, returned or given; another condition; another exception that is caught."""

    def mutate(among: list[ast.AST], at: int) -> None:
        marked = among[at]
        field = next((one for one in ("test", "type", "value") if isinstance(getattr(marked, one, None), ast.expr)), "")
        if not field:
            raise MutationProblem(f"`{ast.unparse(marked)}` has no expression to replace")
        setattr(marked, field, ast.parse(expression, mode="eval").body)

    return mutate


always = becomes("True")
never = becomes("False")


def preceded_by(statements: str) -> Mutation:
    def mutate(among: list[ast.AST], at: int) -> None:
        among[at:at] = ast.parse(statements).body

    return mutate


def followed_by(statements: str) -> Mutation:
    def mutate(among: list[ast.AST], at: int) -> None:
        among[at + 1 : at + 1] = ast.parse(statements).body

    return mutate


def replaced(old: str, new: str) -> Mutation:
    """For what nothing above fits: other words in the statement's text, as `ast.unparse` writes it."""

    def mutate(among: list[ast.AST], at: int) -> None:
        text = ast.unparse(among[at])
        if text.count(old) != 1:
            raise MutationProblem(f"`{old}` stands {text.count(old)} times, and not once, in:\n{text}")
        among[at : at + 1] = ast.parse(text.replace(old, new)).body

    return mutate


def product(root: Path) -> tuple[str, ...]:
    """The product's packages, as pyproject.toml lists them for the import rules."""
    return tuple(tomllib.loads((root / "pyproject.toml").read_text())["tool"]["importlinter"]["root_packages"])


def markers(root: Path) -> list[Marker]:
    """Every marker of the product."""
    files = sorted(file for package in product(root) for file in (root / package).rglob("*.py"))
    return [
        Marker(found["name"], file.relative_to(root), number)
        for file in files
        for number, line in enumerate(file.read_text().splitlines(), start=1)
        if (found := _MARKER.fullmatch(line))
    ]


def places(names: Iterable[str], found: Iterable[Marker]) -> Mapping[str, Marker]:
    """The marker of each guarantee. All that does not fit is told at once, each on a line of its own."""
    standing: dict[str, list[Marker]] = {name: [] for name in names}
    problems = []
    for marker in found:
        if marker.name in standing:
            standing[marker.name].append(marker)
        else:
            problems.append(
                f"{marker}: no guarantee is named {marker.name!r}. fix: name it as the table does, or add it"
            )
    for name, of_it in standing.items():
        if not of_it:
            problems.append(
                f"no marker for {name!r}. fix: put `# guarantee: {name}` right above the code that keeps it"
            )
        elif len(of_it) > 1:
            everywhere = ", ".join(map(str, of_it))
            problems.append(f"{name!r} is marked {len(of_it)} times: {everywhere}. fix: leave the one that keeps it")
    if problems:
        raise MarkerProblem("\n".join(problems))
    return {name: of_it for name, (of_it,) in standing.items()}


def mutated(source: str, marker: Marker, mutation: Mutation) -> ast.Module:
    """The module without what the marker is about."""
    tree = ast.parse(source)
    among, at = _marked(tree, source.splitlines(), marker)
    before = [ast.dump(one) for one in among]
    try:
        mutation(among, at)
    except MutationProblem as problem:
        raise MutationProblem(f"{marker}: {problem}") from None
    if [ast.dump(one) for one in among] == before:
        raise MutationProblem(f"{marker}: the mutation changes nothing")
    return ast.fix_missing_locations(tree)


def node_ids(names: Iterable[str], root: Path) -> list[str]:
    """The node id of each test function, wherever it stands; each must stand once."""
    standing: dict[str, list[str]] = {name: [] for name in names}
    for file in sorted((root / "tests").rglob("test_*.py")):
        for name in _TEST.findall(file.read_text()):
            if name in standing:
                standing[name].append(f"{file.relative_to(root)}::{name}")
    problems = [
        f"{name} stands {len(found)} times in tests/, and not once: {', '.join(found) or 'nowhere'}. fix: name one test"
        for name, found in standing.items()
        if len(found) != 1
    ]
    if problems:
        raise MarkerProblem("\n".join(problems))
    return [node for (node,) in standing.values()]


def _marked(tree: ast.Module, lines: list[str], marker: Marker) -> tuple[list[ast.AST], int]:
    line = marker.line + 1
    while line <= len(lines) and lines[line - 1].lstrip().startswith("#"):
        line += 1
    # Breadth first: the outermost that begins on this line.
    for parent in ast.walk(tree):
        for _, value in ast.iter_fields(parent):
            if isinstance(value, list):
                for at, one in enumerate(value):
                    if isinstance(one, ast.AST) and getattr(one, "lineno", None) == line:
                        return value, at
    raise MarkerProblem(f"{marker}: no statement, handler or argument begins on the line below {marker.name!r}")
