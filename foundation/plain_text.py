"""Text from elsewhere, made harmless for terminals and pages, which obey some characters instead of showing them."""

import json
import re

# C0 but for tab and line feed, DEL and C1; of text in two directions the marks, embeddings, overrides and isolates;
# line and paragraph separators, what is not to be seen at all, and halves of surrogates, which cannot be written.
# Joiners stay: names and emoji need them.
_OBEYED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff"
    "\U000e0000-\U000e007f]"
)
_ENDS_A_CELL = re.compile(r"[\t\n]")


def plain_text(text: str) -> str:
    """The text with each character that would be obeyed as JSON escapes it; lines and tabs stay."""
    # guarantee: no terminal and no page obeys a character of the data
    return _OBEYED.sub(_escaped, text)


def one_line(text: str) -> str:
    """The same without tabs and line feeds: a cell of a table."""
    return _ENDS_A_CELL.sub(_escaped, plain_text(text))


def _escaped(found: "re.Match[str]") -> str:
    return json.dumps(found[0])[1:-1]
