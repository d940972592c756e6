"""The engine under the KCL's daemon."""

from consumers.engines.kcl.child import DaemonLine
from consumers.engines.kcl.daemon import (
    DAEMON_GRACE_SECONDS,
    DAEMON_LOGGING,
    OLDEST_JAVA,
    DaemonSettings,
    daemon_command,
    endpoints,
    java_version,
    properties_text,
    with_this_python,
)
from consumers.engines.kcl.lease_notes import LeaseNotes

__all__ = [
    "DAEMON_GRACE_SECONDS",
    "DAEMON_LOGGING",
    "OLDEST_JAVA",
    "DaemonLine",
    "DaemonSettings",
    "LeaseNotes",
    "daemon_command",
    "endpoints",
    "java_version",
    "properties_text",
    "with_this_python",
]
