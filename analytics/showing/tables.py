"""Answers of the lake, and how they look as a frame."""

from datetime import timedelta
from typing import TYPE_CHECKING

import pyarrow as pa

from analytics.lake import Lake
from analytics.questions import Question, bucket_for
from foundation.plain_text import one_line

if TYPE_CHECKING:
    import pandas as pd


def ask(lake: Lake, question: Question) -> pa.Table:
    """The lake's answer to a question: one of `analytics.questions`, or of your own."""
    return lake.sql(question.sql())


def typed(**columns: pa.DataType) -> pa.Schema:
    """The columns of an answer that was made in Python."""
    return pa.schema(columns)


def bar_width(lake: Lake) -> timedelta:
    """How wide a bar of time is so that all orders of the lake fit into 48 of them."""
    (row,) = lake.sql("SELECT epoch(max(placed_at) - min(placed_at)) AS seconds FROM orders").to_pylist()
    return bucket_for(timedelta(seconds=row["seconds"] or 0))


def frame(answer: pa.Table, most: int = 12) -> "pd.DataFrame":
    """The answer's first `most` rows to be looked at, numbered from 1.

    Numbers have one decimal, shares three, times are in UTC without their zone, nulls are empty, no text is obeyed.
    """
    shown = answer.slice(0, most).to_pandas()
    for column in shown.columns:
        if str(shown[column].dtype).startswith("datetime64"):
            shown[column] = shown[column].dt.tz_localize(None).dt.round("s")
        elif shown[column].dtype == float:
            shown[column] = shown[column].round(3 if column.endswith("share") else 1)
        else:
            shown[column] = shown[column].map(lambda value: one_line(value) if isinstance(value, str) else value)
        if shown[column].isna().any():
            shown[column] = shown[column].astype(object).where(shown[column].notna(), "")
    shown.index = shown.index + 1
    return shown
