"""A consumer that begins with history: it is given the past by a job, and goes on behind it as always."""

from consumers.replay.diagnostics import ReplayBegun, Replayed, ReplayWaits
from consumers.replay.places import is_first_day, write_places
from consumers.replay.replaying import PastEvents, replay

__all__ = ["PastEvents", "ReplayBegun", "ReplayWaits", "Replayed", "is_first_day", "replay", "write_places"]
