"""What a token is made of, `page.row.text`: where its key lies, and the text as that key sealed it."""

from collections.abc import Callable, Iterator
from typing import Any

PAGE_NAME_LENGTH = 16
COUNT_SIZE = 3
# A nonce is a count under its key, and a key is used by the process that made it only: no nonce comes twice.
NONCE_HEAD = bytes(12 - COUNT_SIZE)


def order_subject(order_id: str) -> str:
    """Whose key seals what names an order and no customer."""
    return f"order:{order_id}"


def sealed_texts(value: Any, seal: Callable[[str], str]) -> Any:
    """A JSON value with each text in it sealed, and each name in it that is no plain identifier. Numbers stay."""
    if isinstance(value, str):
        return seal(value)
    if isinstance(value, list):
        return [sealed_texts(one, seal) for one in value]
    if isinstance(value, dict):
        return {_sealed_name(name, seal): sealed_texts(one, seal) for name, one in value.items()}
    return value


def tokens_in(value: Any) -> Iterator[str]:
    """The texts of a JSON value that look like tokens."""
    if isinstance(value, str) and all(token_parts(value)):
        yield value
    elif isinstance(value, list):
        for one in value:
            yield from tokens_in(one)
    elif isinstance(value, dict):
        for name, one in value.items():
            yield from tokens_in(name)
            yield from tokens_in(one)


def token_parts(token: str) -> tuple[str, str, str]:
    """Page, row and sealed text; three times nothing for what is no token."""
    parts = token.split(".")
    if len(parts) != 3 or len(parts[0]) != PAGE_NAME_LENGTH or not parts[1].isdecimal() or "/" in parts[0]:
        return "", "", ""
    return parts[0], parts[1], parts[2]


def _sealed_name(name: str, seal: Callable[[str], str]) -> str:
    return name if name.isascii() and name.isidentifier() and name.islower() and len(name) <= 64 else seal(name)
