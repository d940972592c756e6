"""What figures have in common: an empty canvas, and SVG text that takes size, ink and font from its page."""

import io
import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.typing import RcKeyType

from foundation.plain_text import plain_text

# Widths in CSS pixels at which a figure's text has its true size: a column of text, and a phone.
WIDE = 720
NARROW = 340

# matplotlib knows no `currentColor`: ink is drawn in a colour nobody uses, and renamed in the text it leaves.
INK = "#010203"
FAINT = 0.18

SETTINGS: dict[RcKeyType, Any] = {
    "svg.fonttype": "none",  # text stays text: searchable, selectable, in the page's own font
    "svg.hashsalt": "takeaway",
    "font.size": 12,
    "date.converter": "concise",
    "timezone": "UTC",
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}


def canvas(width: int, height: int) -> tuple[Figure, Axes]:
    """An empty figure of that many CSS pixels, with no box around its axes."""
    figure = Figure(figsize=(width / 72, height / 72), layout="constrained")
    figure.patch.set_alpha(0)
    axes = figure.add_subplot()
    axes.patch.set_alpha(0)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, pad=6)
    return figure, axes


def legend(figure: Figure, handles: Sequence[Any], columns: int | None = None) -> None:
    columns = columns or len(handles)
    figure.legend(handles=handles, loc="outside upper left", ncols=columns, frameon=False, handlelength=1)


class Titles:
    """What a pointer that rests on a part of a figure is told, by the id that the part gets."""

    def __init__(self) -> None:
        self.by_id: dict[str, str] = {}

    def give(self, part: Any, text: str) -> None:
        name = f"told{len(self.by_id)}"
        part.set_gid(name)
        self.by_id[name] = text


def svg_of(figure: Figure, name: str, titles: Titles) -> str:
    """The figure as an `<svg>` element to put into a page: no fixed size, ids of its own, the page's ink and font."""
    written = io.StringIO()
    figure.savefig(written, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = written.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r'(<svg [^>]*?)width="[^"]+" height="[^"]+"', r"\1", text, count=1, flags=re.DOTALL)
    text = re.sub(r"<defs>\s*<style.*?</defs>", "", text, count=1, flags=re.DOTALL)  # it would style the whole page
    text = _with_titles(text, titles.by_id)
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r'(url\(|href=")#', rf"\1#{name}-", text)
    text = re.sub(r"font-family: [^;\"]+;?", "", text)
    return text.replace(INK, "currentColor").strip()


def _with_titles(svg: str, titles: Mapping[str, str]) -> str:
    def told(found: "re.Match[str]") -> str:
        title = titles.get(found[1])
        return found[0] if title is None else f"{found[0]}<title>{escape(plain_text(title), quote=False)}</title>"

    return re.sub(r'<g id="(told\d+)">', told, svg)
