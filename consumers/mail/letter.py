"""What a mail to a customer says, as text and as HTML."""

from dataclasses import dataclass
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from events import Item, amount


@dataclass(frozen=True, kw_only=True)
class Letter:
    """An e-mail. A repeated one has the same `reference`, the id of the event that it answers.

    `items`, `total` (minor units of `currency`) are shown where they are known.
    """

    to: str
    name: str
    subject: str
    sentences: tuple[str, ...]
    reference: str
    items: tuple[Item, ...] = ()
    total: int | None = None
    currency: str | None = None

    @property
    def text(self) -> str:
        """The reference stands last: by it the audit finds which event a mail answers."""
        return self._rendered("letter.txt")

    @property
    def html(self) -> str:
        """A page without script, and with nothing to fetch."""
        return self._rendered("letter.html")

    def _rendered(self, template: str) -> str:
        return _templates().get_template(template).render(letter=self)


@cache
def _templates() -> Environment:
    environment = Environment(
        loader=PackageLoader("consumers.mail"),
        # guarantee: no word of an order is markup in a mail
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["money"] = _money
    return environment


def _money(minor_units: int, currency: str | None) -> str:
    return amount(minor_units, currency) if currency else f"{minor_units:,}"
