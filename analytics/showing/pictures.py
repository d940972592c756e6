"""A figure as a notebook keeps it: SVG where it is trusted, PNG where it is not, and words."""

import base64
import io
import re
import textwrap
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.typing import RcKeyType
from PIL import Image

from foundation.plain_text import one_line

# Told apart by the colour-blind (blue, grey, orange, violet, olive) and at least 3:1 on white.
ACCENT, GREY, WARNING, VIOLET, OLIVE = "#3b82c4", "#8a8f98", "#d1690a", "#8e6bbf", "#7d7a1c"
INK, FAINT = "#222222", "#00000018"

# In CSS pixels; a PNG has two dots for each, so that it is sharp on the screens of phones and laptops.
WIDTH = 720
_DOTS, _COLOURS = 2, 48
_LETTERS_A_LINE, _LETTERS_A_LABEL = 92, 44

_SETTINGS: dict[RcKeyType, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "takeaway",
    "font.size": 12,
    "font.family": ["DejaVu Sans"],
    "date.converter": "concise",
    "timezone": "UTC",
    "text.parse_math": False,  # a restaurant may have a dollar in its name
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}
_LONG_NUMBER = re.compile(r"(-?\d+\.\d\d)\d+")


@dataclass(frozen=True, repr=False)
class Picture:
    """What a cell ends with to show a figure; `str` of it is its claim.

    JupyterLab shows a stranger's SVG to nobody before the notebook is trusted, and a PNG always.
    """

    claim: str
    svg: str = field(compare=False)
    png: bytes = field(compare=False)

    def __str__(self) -> str:
        return self.claim

    __repr__ = __str__

    def _repr_mimebundle_(self, **_: object) -> tuple[dict[str, str], dict[str, Any]]:
        data = {
            "image/svg+xml": self.svg,
            "image/png": base64.b64encode(self.png).decode(),
            "text/plain": self.claim,
        }
        return data, {"image/png": {"width": WIDTH}}


class Canvas:
    """One pair of axes without a box, under a claim; `picture` is what came of it."""

    def __init__(self, claim: str, height: int) -> None:
        self._claim = one_line(claim)
        title = "\n".join(textwrap.wrap(self._claim, _LETTERS_A_LINE))
        height += 18 * (title.count("\n") + 1) + 10 if title else 0
        self.figure = Figure(figsize=(WIDTH / 72, height / 72), layout="constrained", facecolor="white")
        self.axes: Axes = self.figure.add_subplot()
        self.axes.spines[:].set_visible(False)
        self.axes.tick_params(length=0, pad=6)
        if title:
            # Its own place in the layout, so that a legend stands below it.
            self.figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold")

    def legend(self, handles: list[Any]) -> None:
        """Below the axes, in one line."""
        self.figure.legend(handles=handles, loc="outside lower left", ncols=len(handles), frameon=False, handlelength=1)

    def picture(self) -> Picture:
        return Picture(self._claim, self._svg(), self._png())

    def _svg(self) -> str:
        written = io.StringIO()
        self.figure.savefig(
            written, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None}
        )
        text = written.getvalue()
        # The PNG takes the places that were found for this one: finding them is most of the work.
        self.figure.set_layout_engine("none")
        # A whole line for each stroke would make a notebook of thousands of lines.
        lines = (line.strip() for line in text[text.index("<svg") :].splitlines())
        return _LONG_NUMBER.sub(r"\1", " ".join(lines))

    def _png(self) -> bytes:
        drawn, written = io.BytesIO(), io.BytesIO()
        self.figure.savefig(drawn, format="png", dpi=72 * _DOTS)
        # A quarter of the bytes, with no difference to be seen: a notebook is text, and somebody downloads it.
        Image.open(drawn).convert("RGB").quantize(_COLOURS).save(written, format="png", optimize=True)
        return written.getvalue()


@contextmanager
def drawing() -> Iterator[None]:
    """Around all of a figure: its style, and no warning of letters that the font lacks, which SVG shows."""
    with mpl.rc_context(_SETTINGS), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from")
        yield


def label(value: object) -> str:
    """A name from the data, on two lines and no longer than there is room for."""
    lines = textwrap.wrap(one_line(str(value)), _LETTERS_A_LABEL, max_lines=2, placeholder="\N{HORIZONTAL ELLIPSIS}")
    return "\n".join(lines)
