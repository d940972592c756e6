"""docs/lake.md keeps what it says: its cells run, in order, and the safe way shows what the folder alone would not."""

import re
from pathlib import Path

import pandas as pd
import pytest

from analytics.lake import Lake
from tests.support import ROOT
from tests.support.builders import NOON
from tests.support.lake_rows import GOOD, an_order
from tests.support.worlds.lake_folder import FolderLake

_DOCUMENT = (ROOT / "docs/lake.md").read_text(encoding="utf-8")
CELLS = re.findall(r"```python\n(.*?)```", _DOCUMENT, flags=re.DOTALL)


@pytest.mark.slow
def test_the_cells_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    folder = FolderLake(tmp_path / "events")
    folder.archive(*an_order(*GOOD), *an_order("restaurant_notified", order_id="order-2", after=60))
    folder.compact(NOON.date())
    monkeypatch.setattr(Lake, "from_environment", folder.lake)
    told = []
    names: dict[str, object] = {}
    for cell in CELLS:
        exec(compile(cell, "docs/lake.md", "exec"), names)  # noqa: S102 - the document's own cells
        told.append(capsys.readouterr().out.splitlines())
    nothing, pandas, arrow, by_sql, by_polars, window, order, questions, files = told
    assert nothing == []
    assert "'order_placed': 2" in pandas[0]
    assert arrow == ["2"]
    assert by_sql == ["[{'state': 'completed', 'orders': 1}, {'state': 'notified', 'orders': 1}]"]
    assert by_polars == ["1900"]
    assert window == ["2"]
    assert order == [str(["order_placed", *GOOD])]
    assert "'stage': 'completed', 'orders': 1" in questions[0]
    assert files == ["7"]
    # What the document warns of: the compaction's files beside those that it replaced.
    assert sum(len(pd.read_parquet(file)) for file in folder.root.rglob("*.parquet")) == 14
