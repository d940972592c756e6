"""What a notebook's cell shows: answers as frames and in words, and charts that are pictures wherever it is opened."""

from analytics.showing.charts import bars, columns, heat_map, spans
from analytics.showing.flow import deviation_kinds, edges, examples, ways
from analytics.showing.incident import Finding, around, became, by_hour, finding, planted, unusual
from analytics.showing.pictures import Picture
from analytics.showing.sentences import Sentence, duration, say
from analytics.showing.tables import ask, bar_width, frame

__all__ = [
    "Finding",
    "Picture",
    "Sentence",
    "around",
    "ask",
    "bar_width",
    "bars",
    "became",
    "by_hour",
    "columns",
    "deviation_kinds",
    "duration",
    "edges",
    "examples",
    "finding",
    "frame",
    "heat_map",
    "planted",
    "say",
    "spans",
    "unusual",
    "ways",
]
