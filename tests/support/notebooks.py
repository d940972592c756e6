"""Runs the notebooks. `make notebook` puts them into build/notebooks, run on the lake that the environment names.

`python -m tests.support.notebooks` makes the committed ones anew: on a made-up week, and a local AWS of its own.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jupytext  # type: ignore[import-untyped]
import nbformat
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
    return stacked


def executed(source: Path, environ: Mapping[str, str]) -> Any:
    """The notebook of that percent script, all cells run in a kernel with these variables."""
    notebook = jupytext.read(source)
    for number, cell in enumerate(notebook.cells):
        # Ids are made up at random otherwise.
        cell.id = f"cell-{number}"
    notebook.metadata["language_info"] = {"name": "python"}
    client = NotebookClient(notebook, timeout=120, kernel_name="python3", record_timing=False)
    client.execute(env=dict(environ), cwd=str(source.parent))
    notebook.metadata["language_info"] = {"name": "python"}
    return notebook


def write(notebook: Any, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = nbformat.writes(notebook)  # type: ignore[no-untyped-call]
    path.write_text(text + "\n", encoding="utf-8")


def main(folder: str | None = None) -> None:
    if folder is not None:
        environ = resolved()
        for source in NOTEBOOKS:
            write(executed(source, environ), path := Path(folder) / source.with_suffix(".ipynb").name)
            print(path)  # noqa: T201
        return
    with tempfile.TemporaryDirectory() as home:
        running, reached = EMBEDDED.start(local_aws.free_port(), Path(home), following=True)
        try:
            environ = week({**os.environ, **reached}, Path(home))
            for source in NOTEBOOKS:
                write(executed(source, environ), source.with_suffix(".ipynb"))
        finally:
            processes.stop_processes([running], grace=5)


if __name__ == "__main__":
    main(*sys.argv[1:])
