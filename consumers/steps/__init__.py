"""A step of the choreography as a consumer: hear an event, have one effect, remember it, publish the next event."""

from consumers.steps.answers import Answer, Attempts, read_outcome
from consumers.steps.outcomes import DynamoDBOutcomes, IdempotencyStore, happening, recalled
from consumers.steps.stateful import Stateful, keeps_state
from consumers.steps.states import DynamoDBStates, forget_state
from consumers.steps.step import HandlerStep, performs

__all__ = [
    "Answer",
    "Attempts",
    "DynamoDBOutcomes",
    "DynamoDBStates",
    "HandlerStep",
    "IdempotencyStore",
    "Stateful",
    "forget_state",
    "happening",
    "keeps_state",
    "performs",
    "read_outcome",
    "recalled",
]
