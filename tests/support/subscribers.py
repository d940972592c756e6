"""What others have built on the flow, and the flow without that: a test of the flow holds whatever is added."""

from consumers.specs import CONSUMERS
from events.choreography import CHOREOGRAPHY, Step

SUBSCRIBERS = frozenset(name for name, spec in CONSUMERS.items() if spec.build.startswith("consumers.subscribers."))
CORE: tuple[Step, ...] = tuple(step for step in CHOREOGRAPHY if step.actor not in SUBSCRIBERS)
