"""The customer's and the restaurant's pages in a real browser, before real processes."""

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from foundation.clock import SYSTEM_CLOCK
from producers.orders.tokens import Principal
from producers.pages.frame.sign_in import SignInKey
from tests.support.browser import asked_elsewhere, violations
from tests.support.command_line import Takeaway
from tests.support.flow import until
from tests.support.pages import Site, a_restaurant, tab_to
from tests.support.steps import IN_ORDER, VOUCHER, SeenOrder
from tests.support.tables import Tables

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(600)]

# Longer than anything takes that works, on a machine that is busy with other things too: nothing is asserted of time.
PATIENTLY = 90_000
expect.set_options(timeout=PATIENTLY)
NASTY = '<img src=x onerror="window.hit=1"><script>window.hit=1</script>{{7*7}}'
NAMES = (NASTY, "مطعم الزيتون", "🍜 名前 Zoë", "x" * 1000, "'\"&`")


@pytest.fixture(autouse=True)
def nothing_from_elsewhere(site: Site) -> Iterator[None]:
    """Whatever a test does: no page asks another site for anything, and no page complains, as of its policy."""
    site.asked.clear()
    site.complaints.clear()
    yield
    site.close_browsers()
    assert site.asked
    assert asked_elsewhere(site.asked, site.origin) == []
    assert site.complaints == []


def is_accessible(page: Page) -> None:
    """By axe-core, in the light and in the dark."""
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert violations(page) == [], f"{page.url} in the {scheme}"


def state_of(page: Page) -> Any:
    return page.locator("#state strong")


def order_by_form(page: Page, restaurant: Any) -> str:
    """Chooses two of the first dish, and orders; the order's id."""
    page.get_by_role("link", name=f"Menu of {restaurant.name}, {restaurant.city}").click()
    page.get_by_label(restaurant.dishes[0].name).fill("2")
    page.get_by_label("Name").fill("Ada Lovelace")
    page.get_by_label("E-mail").fill("ada@example.com")
    page.get_by_role("button", name="Order", exact=True).click()
    page.wait_for_url("**/customer/orders/*")
    return page.url.rpartition("/")[2]


def test_the_fifteen_steps_of_an_order_are_seen_on_the_pages(site: Site, tables: Tables, takeaway: Takeaway) -> None:
    restaurant, who = a_restaurant(0), "customer-a"
    for _ in range(4):
        # With the fifth the customer earns a voucher.
        earlier = site.placed(who, restaurant.restaurant_id)
        site.api(restaurant.restaurant_id, "restaurant", f"/orders/{earlier}/accept", {"ready_in_minutes": 20})
        site.api(restaurant.restaurant_id, "restaurant", f"/orders/{earlier}/complete", {})
    board = site.signed_in(restaurant.restaurant_id, "restaurant")
    expect(board.get_by_text("Nothing to answer")).to_be_visible()
    is_accessible(board)
    page = site.signed_in(who, "customer")
    assert "#" not in page.url
    assert page.evaluate("document.referrer") in ("", f"{site.origin}/sign-in")
    is_accessible(page)

    order = SeenOrder.followed(order_by_form(page, restaurant), site, page, board, takeaway)
    order.placed_and_told_to_the_restaurant(restaurant.dishes[0].name)
    is_accessible(page)
    is_accessible(board)
    order.accepted()
    is_accessible(page)
    is_accessible(board)
    is_accessible(order.journey.page)
    order.completed()
    is_accessible(page)
    for event, seconds in order.seconds_behind().items():
        tables.add("from the stream to the customer's page", event=event, seconds=f"{seconds:.2f}")
    order.archived()
    order.mailed("ada@example.com")
    page.get_by_role("link", name="Your orders").click()
    listed = page.locator(f"#order-{order.order_id}")
    expect(listed).to_contain_text("ready")
    expect(listed).to_contain_text("It earned a voucher")
    is_accessible(page)
    types = [one["event_type"] for one in site.api(who, "customer", f"/orders/{order.order_id}")["timeline"]]
    assert [one for one in types if one != VOUCHER] == [*IN_ORDER]


def test_a_rejection_says_why_and_a_customer_may_cancel_until_the_answer(site: Site) -> None:
    restaurant = a_restaurant(1)
    page = site.signed_in("customer-b", "customer")
    board = site.signed_in(restaurant.restaurant_id, "restaurant")
    order_id = order_by_form(page, restaurant)
    ticket = board.locator(f"#ticket-{order_id}")
    ticket.get_by_role("combobox").select_option("out_of_stock")
    ticket.get_by_role("button", name="Reject").click()
    expect(page.get_by_text("Rejected: out of stock")).to_be_visible()
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0)
    is_accessible(page)
    page.get_by_role("link", name="Your orders").click()
    other = order_by_form(page, restaurant)
    expect(board.locator(f"#ticket-{other}")).to_be_visible()
    page.get_by_role("button", name="Cancel this order").click()
    expect(page.get_by_text("Cancelled by you")).to_be_visible()
    expect(board.locator("#over")).to_contain_text(other[:8])
    is_accessible(board)
    is_accessible(page)


def stale(page: Page) -> None:
    """It hears of nothing any more, and can still send."""

    def refuse(route: Route) -> None:
        route.abort()

    page.route(re.compile(r"/(events|part|board-part)$"), refuse)


def test_of_two_tabs_that_answer_one_order_one_wins_and_the_other_is_told_what_won(site: Site) -> None:
    restaurant = a_restaurant(2).restaurant_id
    order_id = site.placed("customer-c", restaurant)
    first = site.signed_in(restaurant, "restaurant")
    second, customer = site.signed_in(restaurant, "restaurant"), site.signed_in("customer-c", "customer")
    customer.goto(f"{site.origin}/customer/orders/{order_id}")
    for page in (first, second):
        expect(page.locator(f"#ticket-{order_id}")).to_be_visible()
    stale(second)
    stale(customer)
    first.get_by_role("button", name="Accept order").click()
    expect(first.locator("#in-kitchen")).to_contain_text(order_id[:8])
    second.get_by_role("button", name="Reject order").click()
    expect(second.get_by_role("alert")).to_contain_text("This order is accepted already.")
    customer.get_by_role("button", name="Cancel this order").click()
    expect(customer.get_by_role("alert")).to_contain_text("The restaurant has accepted this order already.")
    for page in (second, customer):
        page.unroute_all()
        page.reload()
    expect(second.locator("#in-kitchen")).to_contain_text(order_id[:8])
    expect(state_of(customer)).to_have_text("being prepared")
    view = site.api("customer-c", "customer", f"/orders/{order_id}")
    assert view["state"] == "accepted"


def test_twenty_tabs_of_a_browser_share_one_stream_and_all_move(site: Site) -> None:
    restaurant = a_restaurant(3).restaurant_id
    order_id = site.placed("customer-d", restaurant)
    context = site.a_browser()
    tabs = [site.signed_in("customer-d", "customer", context), *(context.new_page() for _ in range(19))]
    for tab in tabs:
        tab.goto(f"{site.origin}/customer/orders/{order_id}")
    # The first one leads; what it hears the others hear of.
    expect(tabs[0].locator("#live")).to_have_text("live")
    streams = [url for url in site.asked if url.endswith("/customer/events")]
    # One for the page behind the link, one for the tab that has gone on from there.
    assert len(streams) <= 2
    site.api(restaurant, "restaurant", f"/orders/{order_id}/accept", {"ready_in_minutes": 20})
    for tab in tabs:
        expect(state_of(tab)).to_have_text("being prepared")
    # The leader goes, and another tab follows in its place.
    tabs[0].close()
    site.api(restaurant, "restaurant", f"/orders/{order_id}/complete", {})
    for tab in tabs[1:]:
        expect(state_of(tab)).to_have_text("ready")
    assert len([url for url in site.asked if url.endswith("/customer/events")]) > len(streams)


def test_a_browser_that_was_offline_shows_what_it_missed_when_it_is_back(site: Site) -> None:
    restaurant = a_restaurant(4).restaurant_id
    order_id = site.placed("customer-e", restaurant)
    page = site.signed_in("customer-e", "customer")
    page.goto(f"{site.origin}/customer/orders/{order_id}")
    expect(page.locator("#live")).to_have_text("live")
    page.context.set_offline(True)
    expect(page.locator("#live")).to_have_text("offline")
    page.get_by_role("button", name="Cancel this order").click()
    expect(page.get_by_role("alert")).to_contain_text("There is no answer.")
    site.api(restaurant, "restaurant", f"/orders/{order_id}/accept", {"ready_in_minutes": 20})
    expect(state_of(page)).to_have_text("waiting")
    page.context.set_offline(False)
    expect(state_of(page)).to_have_text("being prepared")
    expect(page.locator("#live")).to_have_text("live")


def test_a_session_that_ends_while_the_page_is_open_is_told_and_nothing_is_lost(site: Site) -> None:
    restaurant = a_restaurant(5)
    context = site.a_browser()
    until_then = SYSTEM_CLOCK.now() + timedelta(seconds=4)
    session = SignInKey(site.key).session(Principal(subject="customer-f", role="customer"), until_then)
    context.add_cookies([{"name": "takeaway_customer", "value": session, "url": site.origin}])
    page = context.new_page()
    page.goto(f"{site.origin}/customer/restaurants/{restaurant.restaurant_id}")
    page.get_by_label(restaurant.dishes[0].name).fill("3")
    page.get_by_label("Name").fill("Ada")
    page.get_by_label("E-mail").fill("ada@example.com")
    until(lambda: SYSTEM_CLOCK.now() > until_then)
    page.get_by_role("button", name="Order", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("Your session is over.")
    expect(page.get_by_role("alert")).to_contain_text("--role customer --link")
    is_accessible(page)
    site.signed_in("customer-f", "customer", context).close()
    page.get_by_role("button", name="I have signed in again").click()
    expect(page.get_by_role("status")).to_contain_text("You are signed in again.")
    page.get_by_role("button", name="Order", exact=True).click()
    page.wait_for_url("**/customer/orders/*")
    expect(page.locator(".items")).to_contain_text(f"3 \u00d7 {restaurant.dishes[0].name}")


def test_a_page_that_only_looks_is_told_too_when_its_session_ends(site: Site) -> None:
    context = site.a_browser()
    until_then = SYSTEM_CLOCK.now() + timedelta(seconds=4)
    session = SignInKey(site.key).session(Principal(subject="customer-i", role="customer"), until_then)
    context.add_cookies([{"name": "takeaway_customer", "value": session, "url": site.origin}])
    page = context.new_page()
    page.goto(f"{site.origin}/customer")
    expect(page.get_by_role("alert")).to_contain_text("Your session is over.")


@pytest.mark.parametrize("name", NAMES)
def test_what_people_typed_is_shown_as_text_in_a_browser(site: Site, name: str) -> None:
    restaurant = a_restaurant(6).restaurant_id
    items = [{"sku": "s", "name": name, "quantity": 1, "unit_price": 500}]
    order_id = site.placed("customer-g", restaurant, customer_name=name, restaurant_name=name, city=name, items=items)
    page, board = site.signed_in("customer-g", "customer"), site.signed_in(restaurant, "restaurant")
    page.goto(f"{site.origin}/customer/orders/{order_id}")
    expect(page.get_by_role("heading", level=1)).to_have_text(name)
    expect(board.locator(f"#ticket-{order_id}")).to_contain_text(name)
    for one in (page, board):
        assert one.evaluate("window.hit") is None
        assert one.locator("main img, main script").count() == 0
        # Nothing sticks out of a phone's screen.
        one.set_viewport_size({"width": 360, "height": 640})
        assert one.evaluate("document.documentElement.scrollWidth") <= 360


def test_an_order_is_placed_and_cancelled_by_the_keyboard_alone(site: Site) -> None:
    restaurant = a_restaurant(7)
    page = site.signed_in("customer-h", "customer")

    def focused(words: str) -> bool:
        script = "(document.activeElement.labels?.[0] ?? document.activeElement).innerText"
        label = page.evaluate(f"document.activeElement.getAttribute('aria-label') ?? {script}")
        return str(label).strip().startswith(words)

    page.keyboard.press("Tab")
    assert focused("Skip to the content")
    page.keyboard.press("Enter")
    tab_to(page, lambda: focused(f"Menu of {restaurant.name}, {restaurant.city}"))
    page.keyboard.press("Enter")
    page.wait_for_url("**/restaurants/*")
    tab_to(page, lambda: focused(restaurant.dishes[0].name))
    page.keyboard.type("1")
    tab_to(page, lambda: focused("Name"))
    page.keyboard.type("Ada")
    tab_to(page, lambda: focused("E-mail"))
    page.keyboard.type("ada@example.com")
    page.keyboard.press("Enter")
    page.wait_for_url("**/customer/orders/*")
    tab_to(page, lambda: focused("Cancel this order"))
    cancelled = page.get_by_text("Cancelled by you")

    def slowly(route: Route) -> None:
        """The answer comes behind the change, which the page shows by itself."""
        answer = route.fetch()
        cancelled.wait_for()
        route.fulfill(response=answer)

    page.route("**/cancel", slowly)
    page.keyboard.press("Space")
    expect(cancelled).to_be_visible()
    expect(page.get_by_text("The order is cancelled.")).to_be_visible()
    # The button is gone, and the focus stays on the page's own content.
    expect(page.locator("main:focus-within")).to_be_visible()


def test_a_link_signs_in_once_and_pages_without_a_session_say_what_to_do(site: Site) -> None:
    context = site.a_browser()
    link = site.link("customer-j", "customer")
    page = context.new_page()
    page.goto(link)
    page.wait_for_url("**/customer")
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url(f"{site.origin}/")
    is_accessible(page)
    page.goto(link)
    expect(page.get_by_role("alert")).to_contain_text("This sign-in link was used already.")
    assert page.url == f"{site.origin}/sign-in"
    is_accessible(page)
    page.goto(f"{site.origin}/customer")
    expect(page.get_by_role("heading", level=1)).to_have_text("Please sign in")
    is_accessible(page)
    assert link.rpartition("#")[2] not in site.flow.log("api")
