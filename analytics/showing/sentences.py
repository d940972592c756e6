"""Sentences whose numbers are the data's."""

import string
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

import pyarrow as pa

from foundation.plain_text import one_line


@dataclass(frozen=True, repr=False)
class Sentence:
    """Words for people: a paragraph in a notebook, a line in a terminal. Markup in them is shown, not obeyed."""

    text: str

    def __str__(self) -> str:
        return one_line(self.text)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return f'<p style="font-size: 1.1em; max-width: 46em">{escape(str(self))}</p>'


def say(answer: object, sentence: str, otherwise: str = "") -> Sentence:
    """The sentence with the values of the answer's first row in the braces that name them.

    `answer` is a table, or an object with these attributes; None has none.

    Behind a colon stands how: `share` for a part of one, `duration` for seconds, a noun for so many of it, or any
    format of Python's. `otherwise` is what to say where there is no row, or no value for a name.
    """
    row = _row(answer)
    used = {name for _, name, _, _ in string.Formatter().parse(sentence) if name}
    if any(row.get(name) is None for name in used):
        return Sentence(otherwise or f"The lake does not say: {', '.join(sorted(used))}.")
    return Sentence(_Words().vformat(sentence, (), row))


def _row(answer: object) -> Mapping[str, Any]:
    if isinstance(answer, pa.Table):
        return next(iter(answer.slice(0, 1).to_pylist()), {})
    return {} if answer is None else vars(answer)


class _Words(string.Formatter):
    def format_field(self, value: Any, format_spec: str) -> str:
        if format_spec == "share":
            return f"{value:.1%}"
        if format_spec == "duration":
            return duration(value)
        if format_spec.isalpha() and len(format_spec) > 1:
            return f"{value:,} {format_spec}{'' if value == 1 else 's'}"
        if isinstance(value, int) and not format_spec:
            return f"{value:,}"
        return str(super().format_field(value, format_spec))


def duration(seconds: float) -> str:
    """In the one unit that fits: 304 ms, 1.7 s, 2.5 min, 1.1 h, 3.2 d."""
    if abs(seconds) < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    for unit, size, limit in (("s", 1, 59.95), ("min", 60, 3597), ("h", 3600, 172_800)):
        if abs(seconds) < limit:
            return f"{seconds / size:.1f}".removesuffix(".0") + f" {unit}"
    return f"{seconds / 86_400:,.1f}".removesuffix(".0") + " d"
