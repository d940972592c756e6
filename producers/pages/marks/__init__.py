"""What the pages of all processes remember together, for as long as it matters: marks in the table of outcomes."""

from producers.pages.marks.marks import MarksTable, OpenedRestaurants, RedeemedLinks

__all__ = ["MarksTable", "OpenedRestaurants", "RedeemedLinks"]
