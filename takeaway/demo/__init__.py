"""`takeaway demo`: the whole flow for a minute, and its screen."""

from takeaway.demo.run import DemoPlan, demo
from takeaway.demo.screen import load_bar

__all__ = ["DemoPlan", "demo", "load_bar"]
