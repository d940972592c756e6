"""One order, from the lake and the stream: what happened, where each event is, and what comes next. Names nobody."""

from takeaway.trace.facts import OrderFacts
from takeaway.trace.facts_told import as_facts
from takeaway.trace.gathering import order_facts
from takeaway.trace.telling import as_lines, not_found
from takeaway.trace.timeline import Timeline, timeline_of

__all__ = ["OrderFacts", "Timeline", "as_facts", "as_lines", "not_found", "order_facts", "timeline_of"]
