"""The applications that read a stream: the readers of our list, and any other that keeps its leases as the KCL does."""

from collections.abc import Mapping
from dataclasses import dataclass

from analytics.settings import LakeSettings
from consumers.settings import ConsumerSettings
from consumers.specs import ConsumerSpec, fed_by
from foundation.settings import SettingsError, from_environment
from takeaway.standing.collector import Reader
from takeaway.standing.judge import allowance

# A lease is renewed so often in its failover time.
RENEWALS = 3
# Of an application that nothing else is known of: the KCL's failover time by default, and a pace that many keep.
_RENEWAL_OF_OTHERS = 10.0 / RENEWALS
_PACE_OF_OTHERS = 20.0
_GLANCE_SECONDS = 1.0


@dataclass(frozen=True)
class Application:
    """What `reader` is judged by: a checkpoint every `pace_seconds` while there is something to do.

    `start` says how it is started.
    """

    reader: Reader
    pace_seconds: float
    start: str


def own_application(spec: ConsumerSpec, settings: ConsumerSettings, environ: Mapping[str, str]) -> Application:
    """A reader of our list. `environ` is that of its process, as far as it is known."""
    table, start_at = settings.application(spec), settings.first_position_of(spec)[1]
    reader = Reader(spec.name, table, settings.failover_seconds / RENEWALS, start_at)
    try:
        pace = pace_seconds(spec, settings, environ)
    except SettingsError:
        # Its process has refused to start with that, which `takeaway doctor` tells.
        pace = 0.0
    return Application(reader, pace, f"start it: `takeaway work {spec.name}`")


def foreign_application(lease_table: str) -> Application:
    """Any application that keeps its leases as the KCL does: only a look of a minute tells whether it moves."""
    look = allowance(_PACE_OF_OTHERS) + _GLANCE_SECONDS
    reader = Reader(lease_table, lease_table, _RENEWAL_OF_OTHERS, look_seconds=look)
    return Application(reader, _PACE_OF_OTHERS, "start its workers")


def pace_seconds(spec: ConsumerSpec, settings: ConsumerSettings, environ: Mapping[str, str]) -> float:
    """How often the consumer's process writes a checkpoint while there is something to do. Raises `SettingsError`."""
    if any(one.fills_lake for one in fed_by(spec)):
        return from_environment(LakeSettings, environ).lake_file_age.total_seconds()
    return settings.batching_window_seconds + 1 / spec.reads(environ)
