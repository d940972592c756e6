"""The fifteen steps of an order, each where a person sees it: on a page, or by `takeaway sent` and `takeaway lake`."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from playwright.sync_api import Locator, Page, expect

from tests.support.command_line import Takeaway
from tests.support.flow import until
from tests.support.pages import Site

IN_ORDER = (
    "order_placed",
    "restaurant_notified",
    "order_accepted",
    "user_notified",
    "order_completed",
    "user_notified",
)
# Others build on the same events; it comes before or behind the last mail.
VOUCHER = "voucher_issued"
# What of the customer's page shows that an event has come: a selector, and how many it finds by then.
SHOWS: dict[str, tuple[str, int]] = {
    "restaurant_notified": (".line .done:nth-child(2)", 1),
    "order_accepted": (".line .now:nth-child(4)", 1),
    "user_notified": ("#mails time", 1),
    "order_completed": (".line .done:nth-child(4)", 1),
    "user_notified, again": ("#mails time", 2),
    VOUCHER: ("#voucher", 1),
}
# In the page, by its own clock: asking from outside now and then would add to what is measured.
_NOTES_CHANGES = """wanted => {
  window.shownAt = {};
  const look = () => {
    for (const [name, [selector, count]] of Object.entries(wanted))
      if (!(name in window.shownAt) && document.querySelectorAll(selector).length >= count)
        window.shownAt[name] = Date.now();
  };
  look();
  new MutationObserver(look).observe(document.querySelector("main"), {subtree: true, childList: true});
}"""


@dataclass(frozen=True)
class SeenOrder:
    """One order on the pages of its customer, its restaurant and an operator, who has its journey open."""

    order_id: str
    site: Site
    page: Page
    board: Page
    journey: Locator
    takeaway: Takeaway

    @classmethod
    def followed(cls, order_id: str, site: Site, page: Page, board: Page, takeaway: Takeaway) -> "SeenOrder":
        """From its customer's page on, which notes from now on when it shows what."""
        page.evaluate(_NOTES_CHANGES, {name: list(what) for name, what in SHOWS.items()})
        operations = site.signed_in("operator-you", "operator")
        operations.get_by_role("textbox", name="Order").fill(order_id)
        operations.get_by_role("button", name="Show it").click()
        return cls(order_id, site, page, board, operations.locator("#journey"), takeaway)

    @property
    def state(self) -> Locator:
        return self.page.locator("#state strong")

    @property
    def ticket(self) -> Locator:
        return self.board.locator(f"#ticket-{self.order_id}")

    def because_of(self, event_type: str, cause: str, *, before: int = 0) -> None:
        """Operations see the event, behind `before` others of its type, and what it was told for."""
        heading = self.journey.page.get_by_role("rowheader", name=event_type, exact=True)
        expect(self.journey.get_by_role("row").filter(has=heading).nth(before)).to_contain_text(cause)

    def asked(self, *arguments: str) -> Any:
        """What `takeaway` answers as JSON."""
        ended = self.takeaway(*arguments, "--json", **self.site.flow.environ)
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout)

    def placed_and_told_to_the_restaurant(self, dish: str) -> None:
        # 1. The customer has ordered from the menu.
        expect(self.state).to_have_text("waiting")
        expect(self.page.locator(".line .done").first).to_contain_text("Ordered")
        # 2. The API tells order_placed.
        self.because_of("order_placed", "a command")
        # 3. restaurant_notifier hears it,
        self.because_of("restaurant_notified", "order_placed")
        # 4. sends the restaurant a ticket over SNS,
        [sent] = self.asked("sent", "ticket", "--order", self.order_id)
        assert (sent["kind"], sent["message"]["items"][0]["name"]) == ("ticket", dish)
        # 5. and tells restaurant_notified.
        expect(self.page.get_by_text("The restaurant has your order")).to_be_visible()
        expect(self.ticket).to_contain_text(f"2 \u00d7 {dish}")

    def accepted(self) -> None:
        # 6. The restaurant accepts.
        self.ticket.get_by_label("Ready in").fill("25")
        self.ticket.get_by_role("button", name="Accept").click()
        expect(self.board.get_by_role("status")).to_contain_text("Accepted: ready in 25 minutes.")
        expect(self.board.locator("#in-kitchen")).to_contain_text(self.order_id[:8])
        # 7. The API tells order_accepted.
        self.because_of("order_accepted", "a command")
        expect(self.state).to_have_text("being prepared")
        # 8. user_notifier hears it,
        self.because_of("user_notified", "order_accepted")
        # 9. sends the customer a mail over SES, 10. and tells user_notified.
        expect(self.page.locator("#mails time")).to_have_count(1)

    def completed(self) -> None:
        # 11. The restaurant completes the order.
        self.board.get_by_role("button", name=f"Complete order {self.order_id[:8]}").click()
        expect(self.board.locator("#over")).to_contain_text(self.order_id[:8])
        # 12. The API tells order_completed.
        self.because_of("order_completed", "a command")
        expect(self.state).to_have_text("ready")
        # 13. user_notifier hears it, 14. sends the second mail, and tells user_notified.
        self.because_of("user_notified", "order_completed", before=1)
        expect(self.page.locator("#mails time")).to_have_count(2)
        # Beside them: it was this customer's fifth.
        self.because_of(VOUCHER, "order_completed")
        expect(self.page.locator("#voucher")).to_contain_text("A voucher for you.")

    def mailed(self, address: str) -> None:
        """What steps 9 and 14 have sent, and the voucher's mail, which comes last or nearly so."""

        def sent() -> Any:
            mails = self.asked("sent", "mail", "--order", self.order_id)
            return mails if len(mails) == 3 else None

        mails = until(sent, within=90, every=1)
        assert {one["to"][0] for one in mails} == {address}
        assert {one["subject"] for one in mails} == {
            "Your order was accepted",
            "Your food is ready",
            "A voucher for you",
        }

    def archived(self) -> None:
        # 15. The archiver has put all of it in the lake.
        query = f"select event_type from events where order_id = '{self.order_id}' order by event_type"

        def rows() -> list[str]:
            return [row["event_type"] for row in self.asked("lake", "sql", query)]

        until(lambda: rows() == sorted((*IN_ORDER, VOUCHER)), within=90, every=1)

    def seconds_behind(self) -> dict[str, float]:
        """Of each of `SHOWS`: from the event's arrival on the stream until the customer's page showed it."""
        arrived: dict[str, datetime] = {}
        for one in self.site.api("operator-you", "operator", f"/orders/{self.order_id}")["timeline"]:
            name = one["event_type"]
            name = f"{name}, again" if name in arrived else name
            arrived[name] = datetime.fromisoformat(one["arrived_at"])
        shown = self.page.evaluate("window.shownAt")
        return {
            name: (datetime.fromtimestamp(shown[name] / 1000, UTC) - arrived[name]).total_seconds() for name in SHOWS
        }
