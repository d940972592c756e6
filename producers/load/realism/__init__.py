"""The generated orders beside published statistics.

`picture` is imported by its own name, since it loads matplotlib.
"""

from producers.load.realism.comparison import Row, card
from producers.load.realism.measurements import measure

__all__ = ["Row", "card", "measure"]
