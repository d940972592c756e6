"""What a notebook's cell shows: an answer as a frame, a figure as itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from analytics.lake import Lake
from analytics.report.questions import Question

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


@dataclass(frozen=True)
class Drawing:
    """SVG text that Jupyter shows as the picture it is."""

    svg: str

    def _repr_svg_(self) -> str:
        # A document of its own needs to say what it is, and a white page under dark ink.
        opened = '<svg style="background: white; color: #222; max-width: 720px"'
        return self.svg.replace("<svg", opened, 1)


def ask(lake: Lake, question: Question) -> "pa.Table":
    """The lake's answer to one of `analytics.report.questions`."""
    return lake.sql(question.sql())


def frame(answer: "pa.Table", **rename: str) -> "pd.DataFrame":
    """The answer to be looked at: seconds with one decimal, shares with three, times without their zone."""
    shown = answer.to_pandas()
    for column in shown.columns:
        if str(shown[column].dtype).startswith("datetime64"):
            shown[column] = shown[column].dt.tz_localize(None).dt.round("s")
        elif shown[column].dtype == float:
            shown[column] = shown[column].round(3 if column == "share" else 1)
    return shown.rename(columns=rename)


def in_words(answer: "pa.Table", sentence: str) -> str:
    """The sentence with the numbers of the answer's first row in the braces that name them."""
    row: Mapping[str, Any] = answer.to_pylist()[0]
    return sentence.format_map(dict(row))
