"""The generated orders beside published statistics."""

from producers.load.realism.comparison import Row, card
from producers.load.realism.measurements import measure
from producers.load.realism.picture import draw

__all__ = ["Row", "card", "draw", "measure"]
