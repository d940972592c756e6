"""Dead letters given again to the consumer that could not process them."""

from consumers.redrive.lake import IntoLake
from consumers.redrive.redrive import CANARIES, Fate, GivesAgain, Redrive, Summary, in_order
from consumers.redrive.steps import SetAsideAgain, ThroughProcessor

__all__ = [
    "CANARIES",
    "Fate",
    "GivesAgain",
    "IntoLake",
    "Redrive",
    "SetAsideAgain",
    "Summary",
    "ThroughProcessor",
    "in_order",
]
