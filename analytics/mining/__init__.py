"""The flow as it ran, mined from the lake's events and held against the flow as it is declared."""

from analytics.mining.mining import EVENTS_TO_MINE, mine
from analytics.mining.results import Deviation, Edge, Kind, Mined, Variant
from analytics.mining.told import flow_select, told_select

__all__ = [
    "EVENTS_TO_MINE",
    "Deviation",
    "Edge",
    "Kind",
    "Mined",
    "Variant",
    "flow_select",
    "mine",
    "told_select",
]
