"""The operations page in a real browser: it moves by itself, by keyboard, without a script, on a phone, accessible."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import uvicorn
from playwright.sync_api import Browser, BrowserContext, Page, expect

from producers.pages.frame import SignInKey, link_url
from takeaway.local.aws import free_port
from tests.producers.pages.operations_world import ORDER, World, a_look, serving
from tests.support.browser import a_browser, asked_elsewhere, violations
from tests.support.worlds.orders_api import KEY

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(300)]
expect.set_options(timeout=15_000)
PHONE = {"width": 360, "height": 720}


@dataclass
class Site:
    world: World
    origin: str
    browser: Browser
    asked: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def signed_in(self, **like: Any) -> BrowserContext:
        """A browser of an operator."""
        context = self.browser.new_context(**like)
        context.set_default_timeout(60_000)
        context.on("request", lambda request: self.asked.append(request.url))
        context.on("console", lambda told: self.complaints.append(told.text) if told.type == "error" else None)
        self.world.time.advance(1)  # a link works once
        link = SignInKey(KEY).link("operator-you", "operator", self.world.time.now())
        page = context.new_page()
        page.goto(link_url(self.origin, link))
        page.wait_for_url("**/operations")
        return context


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    world, port = World(), free_port()
    with serving(world) as app, a_browser() as browser:
        server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning"))
        serving_thread = threading.Thread(target=server.run)
        serving_thread.start()
        while not server.started:
            threading.Event().wait(0.05)
        yield Site(world, f"http://127.0.0.1:{port}", browser)
        server.should_exit = True
        serving_thread.join()


def only(context: BrowserContext) -> Page:
    [page] = context.pages
    return page


def test_it_moves_by_itself_asks_nobody_else_and_says_when_something_stands(site: Site) -> None:
    page = only(site.signed_in())
    expect(page.get_by_text("user_notifier (pid 4242) is frozen")).to_be_visible()
    page.get_by_role("textbox", name="Order").fill("typed before the next look")
    site.world.look = a_look(problems=(), counts={"order_placed": 5678})
    expect(page.get_by_text("no problems")).to_be_visible()
    expect(page.get_by_text("5,678").first).to_be_visible()
    assert page.get_by_role("textbox", name="Order").input_value() == "typed before the next look"
    site.world.look = a_look()
    assert asked_elsewhere(site.asked, site.origin) == []
    assert site.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_accessible_on_a_screen_and_a_phone_and_no_wider(site: Site, scheme: Any) -> None:
    for like in ({}, {"viewport": PHONE}):
        page = only(site.signed_in(color_scheme=scheme, **like))
        for path in ("/operations", f"/operations/orders/{ORDER}"):
            page.goto(site.origin + path)
            assert violations(page) == []
            assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_an_order_is_found_by_keyboard_alone(site: Site) -> None:
    page = only(site.signed_in())
    page.get_by_role("textbox", name="Order").focus()
    page.keyboard.type(ORDER)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=f"Order {ORDER}")).to_be_visible()
    expect(page.get_by_text("restaurant tells order_accepted or order_rejected")).to_be_visible()
    page.get_by_role("link", name="Operations").press("Enter")
    page.get_by_role("link", name=ORDER).first.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=f"Order {ORDER}")).to_be_visible()


def test_without_a_script_all_of_it_is_there_and_an_order_is_found(site: Site) -> None:
    signed_in = site.signed_in()
    context = site.browser.new_context(java_script_enabled=False)
    context.add_cookies(signed_in.cookies())
    page = context.new_page()
    page.goto(f"{site.origin}/operations")
    expect(page.locator("svg.flow path").first).to_be_visible()
    page.get_by_role("textbox", name="Order").fill(ORDER)
    page.get_by_role("button", name="Show it").click()
    expect(page.get_by_role("heading", name=f"Order {ORDER}")).to_be_visible()


def test_a_closed_page_asks_for_no_look(site: Site) -> None:
    context = site.signed_in()
    page = only(context)
    before = site.world.looks
    with page.expect_response("**/operations/look"):
        pass
    assert site.world.looks > before
    context.close()
    for other in site.browser.contexts:
        other.close()
    after = site.world.looks
    threading.Event().wait(4)
    assert site.world.looks <= after + 1, "one may have been under way"
    site.world.look = replace(site.world.look)
