"""A real Chromium for tests of pages: Debian's, started by Playwright, and nothing from elsewhere."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

MISSING = "there is no chromium on the PATH, so no page is tried in a browser. fix: `apt-get install chromium`"
# A busy machine takes its time to start a browser.
MOST_MILLISECONDS = 240_000
# What axe calls these keeps people from using a page.
SERIOUS = {"serious", "critical"}


@contextmanager
def a_browser() -> Iterator[Browser]:
    """Fails in CI where there is none; elsewhere skips, and says so."""
    chromium = shutil.which("chromium")
    if chromium is None:
        if os.environ.get("CI"):
            pytest.fail(MISSING)
        pytest.skip(MISSING)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"], timeout=MOST_MILLISECONDS)
        yield browser
        browser.close()


def asked_elsewhere(requests: list[str], origin: str) -> list[str]:
    """Of the addresses that pages asked for, those that are not of this site."""
    return [url for url in requests if not url.startswith((f"{origin}/", "data:"))]


def violations(page: Page) -> list[Any]:
    """What axe-core finds that is serious, each as what it is and where. The page's own policy stays as it is."""
    found = Axe().run(page).response["violations"]
    return [
        (one["id"], one["help"], [node["target"] for node in one["nodes"]]) for one in found if one["impact"] in SERIOUS
    ]
