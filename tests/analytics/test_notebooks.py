"""The notebooks show what their code shows: run anew on the same week, each gives the outputs that are committed."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.notebooks import NOTEBOOKS, week

EACH = pytest.mark.parametrize("source", NOTEBOOKS, ids=[source.stem for source in NOTEBOOKS])
MOST_LINES = 5


def cells(notebook: Path) -> list[dict[str, Any]]:
    """All that a reader sees."""
    told = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return [{"source": cell["source"], "outputs": cell.get("outputs", [])} for cell in told]


@EACH
def test_cells_are_short_and_every_figure_has_a_claim_above_it(source: Path) -> None:
    above = ""
    for cell in json.loads(source.with_suffix(".ipynb").read_text(encoding="utf-8"))["cells"]:
        text = "".join(cell["source"])
        if cell["cell_type"] == "code":
            assert len([line for line in text.splitlines() if line]) <= MOST_LINES, text
            assert "Drawing(" not in text or above.startswith("## "), text
            assert not any("image/png" in output.get("data", {}) for output in cell["outputs"]), text
        above = text
    assert "?**" in source.read_text(encoding="utf-8"), "there is no question on top"


@pytest.mark.local_aws
@pytest.mark.slow
def test_run_again_they_show_what_is_committed(local_aws: Any, tmp_path: Path) -> None:
    environ = week({**os.environ, **local_aws.environ}, tmp_path)
    command = [sys.executable, "-m", "tests.support.notebooks", str(tmp_path / "run")]
    subprocess.run(command, env=environ, check=True, capture_output=True)  # noqa: S603 - our own arguments
    for source in NOTEBOOKS:
        name = source.with_suffix(".ipynb").name
        assert cells(tmp_path / "run" / name) == cells(source.with_suffix(".ipynb"))
