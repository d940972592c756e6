"""`make notebook`: JupyterLab with the lake's variables, on this machine alone; figures are pictures untrusted too."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from playwright.sync_api import Page

from foundation.clock import uninterrupted_wait
from takeaway.http import get
from takeaway.programs import notebook
from tests.support import ROOT
from tests.support.browser import a_browser, asked_elsewhere

NOTEBOOKS = sorted(notebook.SOURCES.glob("*.ipynb"))


def test_what_a_reader_has_changed_stays(tmp_path: Path) -> None:
    own = tmp_path / "build"
    assert [path.name for path in notebook.own_copies(notebook.SOURCES, own)] == [path.name for path in NOTEBOOKS]
    (own / NOTEBOOKS[0].name).write_text("mine")
    (own / NOTEBOOKS[1].name).unlink()
    assert notebook.own_copies(notebook.SOURCES, own) == [own / NOTEBOOKS[1].name]
    assert (own / NOTEBOOKS[0].name).read_text() == "mine"


def test_the_token_is_in_no_list_of_processes_and_the_lake_in_every_kernel() -> None:
    started = notebook.command(8888, Path("/here"), notebook.FIRST, ["--no-browser"])
    assert "--ServerApp.ip=127.0.0.1" in started
    environ = notebook.environment({"TAKEAWAY_LAKE_BUCKET": "lake"}, "secret")
    assert not [argument for argument in started if "secret" in argument]
    assert (environ["TAKEAWAY_LAKE_BUCKET"], environ["JUPYTER_TOKEN"]) == ("lake", "secret")


@pytest.mark.parametrize(
    ("environ", "platform", "more"),
    [({}, "linux", ["--no-browser"]), ({"DISPLAY": ":0"}, "linux", []), ({}, "darwin", [])],
)
def test_without_a_display_no_browser_is_looked_for(environ: Mapping[str, str], platform: str, more: list[str]) -> None:
    assert notebook.browser(environ, platform) == more


def run(folder: Path, environ: Mapping[str, str], *arguments: str) -> "subprocess.Popen[str]":
    """The program, with what it says in a pipe, and its errors in a file that kernels may outlive."""
    with (folder / "errors").open("w", encoding="utf-8") as errors:
        return subprocess.Popen(  # noqa: S603 - our own arguments
            [sys.executable, "-m", "takeaway.programs.notebook", *arguments],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "TAKEAWAY_HOME": str(folder / "home"), **environ},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )


@pytest.mark.slow
def test_without_a_stack_it_says_how_to_start_one(tmp_path: Path) -> None:
    started = run(tmp_path, {"AWS_CONFIG_FILE": "none", "AWS_SHARED_CREDENTIALS_FILE": "none"})
    said, _ = started.communicate()
    error = (tmp_path / "errors").read_text(encoding="utf-8")
    assert started.returncode == 2
    assert (said, error.count("error: "), error.count("fix: ")) == ("", 1, 1)
    assert "takeaway up" in error
    assert not (tmp_path / "build").exists()


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address that the program prints, once JupyterLab answers there. No cell is run, so there need be no lake."""
    folder = tmp_path_factory.mktemp("lab")
    settings = folder / "settings" / "@jupyterlab" / "notebook-extension"
    settings.mkdir(parents=True)
    # Else cells out of sight are not on the page.
    (settings / "tracker.jupyterlab-settings").write_text(json.dumps({"windowingMode": "none"}))
    own = {
        name: str(folder / name) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "HOME")
    }
    lake = {"TAKEAWAY_STREAM": "none", "AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
    started = run(folder, {**own, **lake, "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings")}, "--port", "0")
    assert started.stdout is not None
    *copied, told = (started.stdout.readline() for _ in range(len(NOTEBOOKS) + 1))
    assert all(line.startswith("copied build/notebooks/") for line in copied)
    address = told.split()[-1]
    wait = uninterrupted_wait()
    try:
        while not answers(address):
            assert started.poll() is None, (folder / "errors").read_text(encoding="utf-8")
            wait(0.2)
        yield address
    finally:
        started.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            started.wait(10)
        # A server that is told to end while its kernels start may wait for itself for ever.
        started.kill()
        said, _ = started.communicate()
    # The address was told once, and its token is in no log.
    assert (said, "token" in (folder / "errors").read_text(encoding="utf-8")) == ("", False)


def answers(address: str) -> bool:
    origin, token = address.partition("/lab")[0], address.rpartition("=")[2]
    try:
        return get(origin, "/api/status", seconds=5, headers={"Authorization": f"token {token}"}).status_code == 200
    except OSError:
        return False


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with a_browser() as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(120_000)
        yield page


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])
def test_opened_untrusted_each_figure_is_a_picture(lab: str, page: Page, path: Path) -> None:
    asked: list[str] = []
    page.on("request", lambda one: asked.append(one.url))
    figures = sum(
        "image/svg+xml" in output["data"]
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]
        for output in cell.get("outputs", [])
    )
    # In a workspace of its own: JupyterLab opens again what was open before.
    page.goto(lab.replace(f"/lab/tree/{notebook.FIRST}", f"/lab/workspaces/{path.stem}/tree/{path.name}"))
    pictures = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-RenderedImage img")
    pictures.nth(figures - 1).wait_for(state="attached")
    assert pictures.count() == figures > 2
    widths = pictures.evaluate_all("all => all.map(one => [one.naturalWidth, one.complete])")
    assert widths == [[1440, True]] * figures
    assert page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-RenderedSVG").count() == 0
    assert asked_elsewhere([url for url in asked if not url.startswith("blob:")], lab.partition("/lab")[0]) == []
