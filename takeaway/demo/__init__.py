"""`takeaway demo`: the whole flow for a minute, and what its screen adds to that of `takeaway top`."""

from takeaway.demo.load_progress import load_bar
from takeaway.demo.run import DemoPlan, demo

__all__ = ["DemoPlan", "demo", "load_bar"]
