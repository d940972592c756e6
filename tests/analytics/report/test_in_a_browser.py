"""The report as a browser shows it: from a file, without a request, on a desk and on a phone, for everyone."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from analytics.reading.orders import Window
from analytics.report.page import render_report
from analytics.report.report import About, make_report
from tests.support.browser import a_browser, violations
from tests.support.builders import NOON
from tests.support.lake_rows import GOOD, a_table, an_order, some_orders

pytestmark = pytest.mark.slow

# As hard to show as names get.
NAMES = ('"Quote\'s" & <b>Tags</b>', "🍜 ラーメン 🍜", "مطعم السلام", "W" * 128)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    rows: list[dict[str, Any]] = some_orders()
    for place, name in enumerate(NAMES):
        for number in range(20):
            placed = {"restaurant_id": name, "city": name[:60], "currency": "EUR", "total": 1250}
            placed["items"] = [{"sku": "sku", "name": name, "quantity": 1, "unit_price": 1250}]
            rows += an_order(*GOOD, order_id=f"{name[:40]}-{place}-{number}", after=60.0 * number, **placed)
        rows += an_order("restaurant_notified", order_id=f"stuck {name[:60]}", restaurant_id=name)
    window = Window(NOON, NOON + timedelta(hours=4))
    report = make_report(a_table(rows), About(NOON + timedelta(hours=4), window, title=NAMES[0]))
    file: Path = tmp_path_factory.mktemp("report") / "report.html"
    file.write_text(render_report(report), encoding="utf-8")
    return file.as_uri()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with a_browser() as browser:
        yield browser


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_it_opens_from_a_file_and_anyone_can_read_it(browser: Browser, address: str, width: int, scheme: Any) -> None:
    page = browser.new_page(viewport={"width": width, "height": 844}, color_scheme=scheme)
    requests: list[str] = []
    told: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: told.append(message.text))
    page.on("pageerror", lambda error: told.append(str(error)))
    page.goto(address)
    assert [url for url in requests if not url.startswith("data:")] == [address]
    assert told == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    wide = "[...document.querySelectorAll('.table, .heat')].filter(one => one.scrollWidth > one.clientWidth).length"
    assert page.evaluate(wide) == 0
    assert page.locator("h1").inner_text() == NAMES[0]
    assert violations(page) == []
    page.close()


def test_sql_opens_by_keyboard_and_a_table_comes_as_a_file(browser: Browser, address: str) -> None:
    page = browser.new_page()
    page.goto(address)
    summary = page.locator("summary", has_text="SQL: how far orders get")
    summary.focus()
    page.keyboard.press("Enter")
    assert page.locator("pre[aria-label='SQL: how far orders get']").is_visible()
    with page.expect_download() as coming:
        page.locator("a[download='funnel.csv']").click()
    assert coming.value.suggested_filename == "funnel.csv"
    assert Path(coming.value.path()).read_text(encoding="utf-8-sig").splitlines()[0] == "stage,orders,share"
    page.close()
