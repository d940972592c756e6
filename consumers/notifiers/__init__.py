"""The two notifiers: one tells the restaurant, one the customer."""

__all__ = []
