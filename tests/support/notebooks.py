"""Runs the notebooks. `make run-notebooks` puts them into build/run-notebooks, run on the environment's lake.

`python -m tests.support.notebooks` makes the committed ones anew: on a made-up week, and a local AWS of its own.
"""

import ast
import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jupytext  # type: ignore[import-untyped]
import nbformat
from IPython.core.formatters import DisplayFormatter
from nbclient import NotebookClient

from foundation.settings import variable
from takeaway.local import aws as local_aws
from takeaway.local import processes
from takeaway.local.backends import EMBEDDED
from takeaway.stack import deployment
from takeaway.stack.environment import resolved
from tests.support import ROOT

FOLDER = ROOT / "analytics" / "notebooks"
NOTEBOOKS = tuple(sorted(FOLDER.glob("*.py")))
# Of what the committed notebooks tell.
WEEK = ("--days", "7", "--per-day", "400", "--seed", "7", "--scenario", "kitchen-meltdown")


def week(environ: Mapping[str, str], folder: Path) -> dict[str, str]:
    """A stack of its own on the local AWS of `environ`, whose lake has the week; answers with all its variables."""
    stacked = {**environ, variable("stack"): "notebooks", variable("home"): str(folder)}
    stacked |= deployment.deploy(stacked)
    history = str(folder / "week.jsonl")
    for arguments in (("load", "history", "--out", history, *WEEK), ("lake", "backfill", history), ("lake", "compact")):
        command = [sys.executable, "-m", "takeaway.cli", *arguments]
        subprocess.run(command, env=stacked, check=True, capture_output=True)  # noqa: S603 - our own arguments
    return {**stacked, "INCIDENT_LEDGER": f"{history}.ledger"}


def executed(sources: Sequence[Path], environ: Mapping[str, str]) -> list[Any]:
    """The notebooks of these percent scripts, all cells run, each in a kernel of its own with these variables."""
    notebooks = [_notebook(source) for source in sources]

    async def run() -> None:
        clients = [NotebookClient(one, timeout=120, kernel_name="python3", record_timing=False) for one in notebooks]
        # By two: a kernel takes a core while it imports.
        for start in range(0, len(clients), 2):
            pair = zip(clients[start : start + 2], sources[start : start + 2], strict=True)
            await asyncio.gather(*(one.async_execute(env=dict(environ), cwd=str(path.parent)) for one, path in pair))

    asyncio.run(run())
    for notebook in notebooks:
        notebook.metadata["language_info"] = {"name": "python"}
    return notebooks


def shown_here(source: Path) -> list[dict[str, Any]]:
    """What each cell of that percent script ends with shows, by its kinds, run in this process."""
    formatter, names, shown = DisplayFormatter(), dict[str, object](), list[dict[str, Any]]()
    for cell in jupytext.read(source).cells:
        if cell.cell_type != "code":
            continue
        body = ast.parse(cell.source)
        last = body.body.pop() if isinstance(body.body[-1], ast.Expr) else None
        exec(compile(body, source, "exec"), names)  # noqa: S102 - a notebook of ours
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), source, "eval"), names)  # noqa: S307
            shown.append({} if value is None else formatter.format(value)[0])  # type: ignore[no-untyped-call]
    return shown


def _notebook(source: Path) -> Any:
    notebook = jupytext.read(source)
    for number, cell in enumerate(notebook.cells):
        # Ids are made up at random otherwise.
        cell.id = f"cell-{number}"
    notebook.metadata["language_info"] = {"name": "python"}
    return notebook


def write(notebook: Any, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = nbformat.writes(notebook)  # type: ignore[no-untyped-call]
    path.write_text(text + "\n", encoding="utf-8")


def main(folder: str | None = None) -> None:
    if folder is not None:
        for source, notebook in zip(NOTEBOOKS, executed(NOTEBOOKS, resolved()), strict=True):
            write(notebook, path := Path(folder) / source.with_suffix(".ipynb").name)
            print(path)  # noqa: T201
        return
    with tempfile.TemporaryDirectory() as home:
        running, reached = EMBEDDED.start(local_aws.free_port(), Path(home), following=True)
        try:
            environ = week({**os.environ, **reached}, Path(home))
            for source, notebook in zip(NOTEBOOKS, executed(NOTEBOOKS, environ), strict=True):
                write(notebook, source.with_suffix(".ipynb"))
        finally:
            processes.stop_processes([running], grace=5)


if __name__ == "__main__":
    main(*sys.argv[1:])
