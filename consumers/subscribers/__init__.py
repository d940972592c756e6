"""What others build on the events, a module each: `takeaway new consumer` begins one (docs/subscribers.md)."""

__all__ = []
