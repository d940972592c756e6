"""The pages as people use them: a real browser before a real API process, and all that goes on behind it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from http import HTTPStatus
from typing import Any

import httpx
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page

from foundation.clock import SYSTEM_CLOCK
from producers.orders.tokens import Role, TokenKey
from takeaway.stack.flow import api_url, sign_in_link
from takeaway.stack.menu import market_menu
from tests.support.flow import Flow, until

CONSUMERS = ("restaurant_notifier", "user_notifier", "archiver", "promo_issuer", "voucher_mailer")


@dataclass
class Site:
    """One API process with consumers, and one browser; each test has people and restaurants of its own."""

    flow: Flow
    browser: Browser
    asked: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    _opened: list[BrowserContext] = field(default_factory=list)

    @property
    def origin(self) -> str:
        return api_url(self.flow.api_port)

    @property
    def key(self) -> TokenKey:
        return TokenKey(self.flow.environ["TAKEAWAY_TOKEN_KEY"].encode())

    def a_browser(self, **like: Any) -> BrowserContext:
        """A browser of one person. Whatever its pages ask for, and whatever they complain about, is written down."""
        context = self.browser.new_context(**like)
        context.set_default_timeout(90_000)
        context.on("request", lambda request: self.asked.append(request.url))
        context.on("console", self._note)
        context.on("weberror", lambda error: self.complaints.append(str(error.error)))
        self._opened.append(context)
        return context

    def _note(self, message: ConsoleMessage) -> None:
        # What a browser says of an answer that is no success is asked for by some tests.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.complaints.append(message.text)

    def close_browsers(self) -> None:
        for context in self._opened:
            context.close()
        self._opened.clear()

    def link(self, subject: str, role: Role) -> str:
        return sign_in_link(self.origin, self.flow.environ["TAKEAWAY_TOKEN_KEY"], subject, role)

    def signed_in(self, subject: str, role: Role, context: BrowserContext | None = None) -> Page:
        """A page behind its sign-in link."""
        page = (context or self.a_browser()).new_page()
        page.goto(self.link(subject, role))
        page.wait_for_url(lambda url: "sign-in" not in url)
        return page

    def api(self, subject: str, role: Role, path: str, body: Any = None) -> Any:
        """Asks the JSON API, as others do beside the pages."""
        token = self.key.sign(subject, role, SYSTEM_CLOCK.now() + timedelta(hours=1))

        def answered() -> httpx.Response | None:
            answer = httpx.request(
                "GET" if body is None else "POST",
                f"{self.origin}{path}",
                json=body or None,
                headers={"Authorization": f"Bearer {token}"},
                trust_env=False,
                timeout=60,
            )
            # The AWS of a busy machine does not always answer in time; a read may be repeated.
            busy = body is None and answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE
            return None if busy else answer

        answer = until(answered, within=90)
        assert answer.is_success, answer.text
        return answer.json()

    def placed(self, customer: str, restaurant: str, **otherwise: Any) -> str:
        """An order that was not placed in a page."""
        body = {
            "restaurant_id": restaurant,
            "customer_name": "Ada",
            "customer_email": "ada@example.com",
            "city": "Utrecht",
            "currency": "EUR",
            "items": [{"sku": "soup", "name": "Soup", "quantity": 1, "unit_price": 500}],
            **otherwise,
        }
        return str(self.api(customer, "customer", "/orders", body)["order_id"])


def a_restaurant(place: int) -> Any:
    """One of the menu."""
    return market_menu().restaurants[place]


def tab_to(page: Page, wanted: Callable[[], bool], most: int = 120) -> None:
    """Presses the tabulator until what is wanted has the focus."""
    for _ in range(most):
        page.keyboard.press("Tab")
        if wanted():
            return
    raise AssertionError("the keyboard does not come there")
