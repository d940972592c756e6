"""What a consumer that acts on records one by one does with a batch: keys side by side, attempts, halving, verdicts."""

from consumers.batching.handler import Awaited, Handled, Promise
from consumers.batching.processor import BatchProcessor
from consumers.batching.rules import BatchRules
from consumers.batching.trial import Experience

__all__ = ["Awaited", "BatchProcessor", "BatchRules", "Experience", "Handled", "Promise"]
