"""The live screen of `takeaway top`: single keys beside looks that come again and again."""

from takeaway.live.watching import watch

__all__ = ["watch"]
