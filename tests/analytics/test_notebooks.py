"""The notebooks show what their code shows: run anew on the same week, each gives the outputs that are committed.

Over a lake with little in it, or with strange names, each works, or says plainly what is not there.
"""

import base64
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from matplotlib.image import imread

from analytics.lake import Lake, NoLake
from tests.support import ROOT
from tests.support.lake_rows import GOOD, an_event, an_order
from tests.support.notebooks import NOTEBOOKS, shown_here, week
from tests.support.worlds.lake_folder import FolderLake

EACH = pytest.mark.parametrize("source", NOTEBOOKS, ids=[source.stem for source in NOTEBOOKS])
MOST_LINES, MOST_BYTES, MOST_LINES_OF_A_FILE = 5, 400_000, 1_000
CHARTS = ("bars(", "columns(", "heat_map(", "spans(")
STRANGE = "Bobby's \"<script>alert('x')</script>\" & $\\frac{1}{0}$ 🍕 مطعم \u202e" + "long " * 200


def cells(notebook: Path) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return told


def outputs(notebook: Path) -> list[dict[str, Any]]:
    """All that its cells show, by kinds. Pictures as their dots, since their bytes depend on the machine's zlib; frames
    as their HTML alone, since pandas' text depends on the width of the terminal.
    """
    return [_plain(output["data"]) for cell in cells(notebook) for output in cell.get("outputs", [])]


def _plain(data: dict[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = {kind: "".join(text) for kind, text in data.items()}
    if "text/html" in plain:
        del plain["text/plain"]
    if "image/png" in plain:
        plain["image/png"] = imread(io.BytesIO(base64.b64decode(plain["image/png"]))).tobytes()
    return plain


@EACH
def test_cells_are_short_and_every_figure_is_a_small_picture_under_a_heading(source: Path) -> None:
    notebook = source.with_suffix(".ipynb")
    above = ""
    for cell in cells(notebook):
        text = "".join(cell["source"])
        if cell["cell_type"] == "code":
            assert len([line for line in text.splitlines() if line]) <= MOST_LINES, text
            assert all(output["output_type"] == "execute_result" for output in cell["outputs"]), text
            drawn = [output["data"] for output in cell["outputs"] if "image/svg+xml" in output["data"]]
            assert bool(drawn) == any(chart in text for chart in CHARTS), text
            for data in drawn:
                assert above.startswith("## "), text
                assert base64.b64decode(data["image/png"]).startswith(b"\x89PNG")
                assert 10 < len("".join(data["text/plain"])) < 120
        above = text
    assert "?**" in source.read_text(encoding="utf-8"), "there is no question on top"
    assert notebook.stat().st_size < MOST_BYTES
    assert len(notebook.read_text(encoding="utf-8").splitlines()) < MOST_LINES_OF_A_FILE


@EACH
def test_the_text_has_no_number_of_the_data(source: Path) -> None:
    """On another lake it would be untrue: what is computed stands in the outputs alone."""
    for cell in cells(source.with_suffix(".ipynb")):
        if cell["cell_type"] == "markdown":
            words = "".join(cell["source"]).split()
            assert not [word for word in words if re.fullmatch(r"\d[\d,.]*\d%?", word)], words


@pytest.fixture(scope="module")
def week_environ(local_aws: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return week({**os.environ, **local_aws.environ}, tmp_path_factory.mktemp("week"))


@pytest.mark.local_aws
@pytest.mark.slow
def test_run_twice_they_show_what_is_committed(
    week_environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = [sys.executable, "-m", "tests.support.notebooks", str(tmp_path)]
    subprocess.run(command, env=week_environ, check=True, capture_output=True)  # noqa: S603 - our own arguments
    for name, value in week_environ.items():
        monkeypatch.setenv(name, value)
    for source in NOTEBOOKS:
        committed = outputs(source.with_suffix(".ipynb"))
        assert outputs(tmp_path / source.with_suffix(".ipynb").name) == committed
        assert [_plain(one) for one in shown_here(source) if one] == committed
        assert ["".join(cell["source"]) for cell in cells(source.with_suffix(".ipynb"))] == [
            "".join(cell["source"]) for cell in cells(tmp_path / source.with_suffix(".ipynb").name)
        ]


@pytest.mark.local_aws
@pytest.mark.slow
def test_plain_pandas_and_pyarrow_read_the_same_lake(
    week_environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The cells of docs/plain-files.md run, in order, on S3, without a line of this repository's."""
    for name, value in week_environ.items():
        monkeypatch.setenv(name, value)
    document = (ROOT / "docs/plain-files.md").read_text(encoding="utf-8")
    names: dict[str, object] = {}
    told = []
    for cell in re.findall(r"```python\n(.*?)```", document, flags=re.DOTALL):
        assert "analytics" not in cell
        exec(compile(cell, "docs/plain-files.md", "exec"), names)  # noqa: S102 - the document's own cells
        told.append(capsys.readouterr().out.strip())
    lake = Lake.from_environment()
    (row,) = lake.sql(
        "SELECT count(*) AS orders, median(epoch(accepted_at - restaurant_notified_at)) AS seconds FROM orders"
    ).to_pylist()
    assert told[:3] == ["True True", "True", "0"]
    assert told[3] == f"{row['orders']} orders, {row['seconds']:.1f} s to an acceptance"
    assert "'add'" in told[4]


def _strange_orders() -> Iterator[dict[str, Any]]:
    """Of one restaurant, on two days with one between them that has none."""
    where = {"restaurant_id": STRANGE, "city": STRANGE, "currency": "EUR"}
    for number in range(24):
        after = 600 * number + 2 * 86_400 * (number % 2)
        yield from an_order(*GOOD, order_id=f"order-{number}{STRANGE}", after=after, **where)


LITTLE = {
    "an order that was placed": [an_event("order_placed")],
    "an event of a newer release": [an_event("order_weighed")],
    "strange names and a day missing": list(_strange_orders()),
}


@pytest.mark.slow
@EACH
def test_over_an_empty_lake_a_notebook_says_that_there_is_nothing_yet(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Lake, "from_environment", lambda: Lake.open(str(tmp_path / "nothing"), {}))
    with pytest.raises(NoLake, match="there is no lake at") as told:
        shown_here(source)
    (line,) = told.value._render_traceback_()
    assert line.startswith("NoLake: there is no lake at")
    assert "fix: run the archiver" in line


@pytest.mark.slow
@pytest.mark.parametrize("rows", LITTLE.values(), ids=LITTLE)
@EACH
def test_over_a_lake_with_little_in_it_a_notebook_works(
    source: Path, rows: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = FolderLake(tmp_path / "events")
    for day in sorted({row["event_date"] for row in rows}):
        folder.archive(*(row for row in rows if row["event_date"] == day))
    monkeypatch.setattr(Lake, "from_environment", folder.lake)
    shown = shown_here(source)
    assert len(shown) > 5
    for one in shown:
        assert "<script" not in one.get("text/html", "") + one.get("image/svg+xml", "")
        assert "\u202e" not in "".join(one.values() if "image/png" not in one else [one["image/svg+xml"]])
        assert one["text/plain"] not in {"", "None"}
        assert "None" not in one.get("image/svg+xml", "")
