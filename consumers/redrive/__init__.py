"""Dead letters given again to the consumer that could not process them.

`consumers.redrive.lake` is imported by its own name: it needs the lake's libraries, which a notifier does without.
"""

from consumers.redrive.redrive import CANARIES, Fate, GivesAgain, Redrive, Summary, in_order
from consumers.redrive.steps import NothingRemembered, SetAsideAgain, ThroughProcessor

__all__ = [
    "CANARIES",
    "Fate",
    "GivesAgain",
    "NothingRemembered",
    "Redrive",
    "SetAsideAgain",
    "Summary",
    "ThroughProcessor",
    "in_order",
]
