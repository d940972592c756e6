"""The live screens of `takeaway top` and `takeaway demo`: looks again and again, and single keys."""

from takeaway.live.looks import looking
from takeaway.live.watching import watch

__all__ = ["looking", "watch"]
