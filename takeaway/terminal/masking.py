"""Stars in the place of what may be a customer's: the contract's personal fields, and what looks like an address."""

import re
from typing import Any

from events import EVENTS, fields_of

# guarantee: what the contract calls personal is masked for those who look on
PERSONAL = frozenset(field.name for event in EVENTS for field in fields_of(event) if field.is_personal)
# By their bytes, so that the same is masked in what nobody can decode; a text that is cut short has no second quote.
_FIELD = re.compile(
    rb'("(?:' + b"|".join(name.encode() for name in sorted(PERSONAL)) + rb')"\s*:\s*")((?:[^"\\]|\\.)+)', re.DOTALL
)
# Begun at the first character of a word only: from each of them anew, a large payload without any would take hours.
_ADDRESS = r"""(?<![^\s"'<>@,;:=])[^\s"'<>@,;:=]+@[^\s"'<>@,;:=]+"""
_ADDRESS_IN_BYTES, _ADDRESS_IN_TEXT = re.compile(_ADDRESS.encode()), re.compile(_ADDRESS)


def masked(data: bytes) -> bytes:
    """The same bytes with a star for each byte of a personal field or of anything like an e-mail address."""
    named = _FIELD.sub(lambda found: found[1] + b"*" * len(found[2]), data)
    return _ADDRESS_IN_BYTES.sub(lambda found: b"*" * len(found[0]), named)


def masked_text(text: str) -> str:
    return masked(text.encode(errors="replace")).decode(errors="replace")


def masked_value(value: Any, *, hidden: bool = False) -> Any:
    """With stars for the texts of personal fields, and for whatever looks like an address."""
    if isinstance(value, str):
        return "*" * len(value) if hidden else _ADDRESS_IN_TEXT.sub(lambda found: "*" * len(found[0]), value)
    if isinstance(value, list):
        return [masked_value(one, hidden=hidden) for one in value]
    if isinstance(value, dict):
        return {
            masked_value(name, hidden=hidden): masked_value(one, hidden=hidden or name in PERSONAL)
            for name, one in value.items()
        }
    return value
