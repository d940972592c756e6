"""A step of the choreography as a consumer: hear an event, have one effect, remember it, publish the next event."""

from consumers.steps.outcomes import DynamoDBOutcomes, IdempotencyStore, happening, recalled
from consumers.steps.step import HandlerStep, performs

__all__ = ["DynamoDBOutcomes", "HandlerStep", "IdempotencyStore", "happening", "performs", "recalled"]
