"""What a replay of history tells."""

from dataclasses import dataclass

from foundation.diagnostics import Diagnostic


@dataclass(frozen=True)
class ReplayBegun(Diagnostic):
    """The consumer is given what the lake has at this version, before it reads the stream."""

    consumer: str
    version: int


@dataclass(frozen=True)
class ReplayWaits(Diagnostic):
    """It could not be begun, done or written down; all of it is tried again. What was done counts no second time."""

    consumer: str
    error: Exception
    retry_in_seconds: float


@dataclass(frozen=True)
class ReplayedSoFar(Diagnostic):
    """So many events were given by now, of all shards up to this one. Told each ten thousand."""

    shard_id: str
    events: int


@dataclass(frozen=True)
class Replayed(Diagnostic):
    """All of that is done.

    What the lake lacks: `texts_missing` names and addresses whose keys are gone, `newer` events of a version that is
    not known here, and what lies in `letters` that wait in the dead letters of those that fill the lake.
    """

    consumer: str
    version: int
    events: int
    texts_missing: int
    newer: int
    letters: int
