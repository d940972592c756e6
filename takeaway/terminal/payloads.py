"""A record's bytes as a person or a program reads them: a value where they are a JSON object, else hex beside text."""

import json
from collections.abc import Callable
from math import isfinite
from sys import float_info
from typing import Any

from takeaway.terminal.masking import masked, masked_value

_HEX_WIDTH = 16
_PRINTABLE = bytes(one if 0x20 <= one < 0x7F else ord(".") for one in range(256))


def payload(data: bytes, *, raw: bool = False) -> dict[str, Any] | str:
    """The event as a value where the bytes are a JSON object, else the bytes in hex beside their text.

    Masked, unless it is to be `raw`.
    """
    try:
        value = json.loads(
            data,
            parse_int=_number(int),
            parse_float=_number(float),
            parse_constant=str,
            object_pairs_hook=_object,
        )
        if isinstance(value, dict):
            shown: dict[str, Any] = value if raw else masked_value(value)
            # What is nested too deep to be printed is shown in hex.
            json.dumps(shown, indent=2)
            return shown
    except (ValueError, RecursionError):
        pass
    return hex_and_text(data if raw else masked(data))


def _number(kind: Callable[[str], float]) -> Callable[[str], float | str]:
    """A number as it is, and as its text where Python, or a reader of JSON, has no such number."""
    return lambda text: kind(text) if len(text) <= float_info.max_10_exp and isfinite(float(text)) else text


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise ValueError("a name is there twice: as a value, one of them would not show")
    return fields


def hex_and_text(data: bytes) -> str:
    """Sixteen bytes a line: where they are, what they are, and the printable ones as text."""
    lines = []
    for start in range(0, len(data), _HEX_WIDTH):
        part = data[start : start + _HEX_WIDTH]
        text = part.translate(_PRINTABLE).decode("ascii")
        lines.append(f"{start:08x}  {part.hex(' '):<{_HEX_WIDTH * 3}} |{text}|")
    return "\n".join(lines)
