"""The operations page: the choreography as it runs, what is open, late or set apart, and one order's journey."""

from producers.pages.operations.facts import ConsumerRow, LateStep, OldestOrder, Operations, ShardRow
from producers.pages.operations.mounting import operations_pages

__all__ = ["ConsumerRow", "LateStep", "OldestOrder", "Operations", "ShardRow", "operations_pages"]
