"""The files of a checkout that a new consumer is in: what each of them says then. All are written, or none."""

import ast
import re
from collections.abc import Mapping
from pathlib import Path

import consumers
from events import CHOREOGRAPHY, mermaid
from takeaway.errors import UserError
from takeaway.scaffold import texts
from takeaway.scaffold.asked import NewConsumer

_LIST, _CHOREOGRAPHY, _README = "consumers/specs.py", "events/choreography.py", "README.md"
_MODULES, _TESTS = "consumers/subscribers", "tests/consumers/subscribers"
_PLACE = re.compile(r"^ *# `takeaway new consumer` adds its .*$", re.MULTILINE)


def checkout(here: Path) -> Path:
    """The folder of the code that runs, which `here` has to be in. Raises `UserError` for any other place."""
    root = Path(consumers.__path__[0]).resolve().parent
    if not all((root / name).exists() for name in (_LIST, _CHOREOGRAPHY, _README, _TESTS)):
        raise UserError(
            f"the code that runs is in {root}, and that is no checkout",
            "clone the repository, and run what `make install` makes there",
        )
    if not here.resolve().is_relative_to(root):
        raise UserError(f"{here} is not in the checkout whose code runs", f"cd {root}")
    return root


def written(new: NewConsumer, root: Path) -> dict[Path, str]:
    """Each file of `root` that is new or says something else, with all of its text; nothing is written yet."""
    module, test = root / _MODULES / f"{new.name}.py", root / _TESTS / f"test_{new.name}.py"
    for path in (module, test):
        if path.exists():
            raise UserError(f"{path} is there already", "another name, or remove it")
    return {
        module: texts.module(new),
        test: texts.test(new),
        root / _LIST: _with_lines(root / _LIST, texts.spec(new)),
        root / _CHOREOGRAPHY: _with_imports(
            _with_lines(root / _CHOREOGRAPHY, texts.steps(new)), {event.__name__ for event in texts.events_of(new)}
        ),
        root / _README: _redrawn(root / _README, new),
    }


def put(files: Mapping[Path, str]) -> None:
    """Writes them; when one cannot be, those before it are as they were. They are as readable as the list is."""
    before = {path: path.read_bytes() if path.exists() else None for path in files}
    mode = min(path.stat().st_mode for path, data in before.items() if data is not None)
    tried: list[Path] = []
    try:
        for path, text in files.items():
            tried.append(path)
            path.write_text(text, encoding="utf-8")
            path.chmod(mode)
    except OSError as error:
        # guarantee: a new consumer is in a checkout whole or not at all
        _put_back({path: before[path] for path in tried})
        raise UserError(
            f"{tried[-1]} cannot be written: {error.strerror}", "nothing was changed; make it so"
        ) from error


def _put_back(before: Mapping[Path, bytes | None]) -> None:
    for path, data in before.items():
        if data is None:
            path.unlink(missing_ok=True)
        elif path.read_bytes() != data:
            path.write_bytes(data)


def _with_lines(path: Path, lines: str) -> str:
    """Above the place that is marked for them."""
    text = path.read_text(encoding="utf-8")
    if len(places := [*_PLACE.finditer(text)]) != 1:
        raise UserError(
            f"{path} has {len(places)} lines that begin with '# `takeaway new consumer` adds its', and needs one",
            "put it back where the last consumer ends: git diff shows where it was",
        )
    at = places[0].start()
    return f"{text[:at]}{lines}{text[at:]}"


def _with_imports(text: str, names: set[str]) -> str:
    """With these event classes among those that are imported, as ruff sorts them."""
    for node in ast.parse(text).body:
        if isinstance(node, ast.ImportFrom) and node.module == "events.orders" and node.end_lineno is not None:
            all_of_them = names | {alias.name for alias in node.names}
            lines = text.splitlines(keepends=True)
            lines[node.lineno - 1 : node.end_lineno] = [texts.imported("events.orders", all_of_them)]
            return "".join(lines)
    raise UserError(f"{_CHOREOGRAPHY} imports nothing from events.orders", "`from events.orders import ...` there")


def _redrawn(path: Path, new: NewConsumer) -> str:
    text = path.read_text(encoding="utf-8")
    if text.count(mermaid()) != 1:
        raise UserError(
            f"{path} does not have the drawing of the choreography",
            "paste there what `takeaway flow show --mermaid` prints",
        )
    return text.replace(mermaid(), mermaid(choreography=(*CHOREOGRAPHY, *new.steps)))
