"""What a consumer's process told in its log last: there when nothing else answers any more."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from consumers import diagnostics
from consumers.replay import ReplayWaits

# The end of a log tells how things are; what was long before is over, or was told again since.
_TAIL_BYTES = 256 * 1024
# What is tried again is told again: later than that it is over, whether or not that was told.
_PATIENCE = timedelta(seconds=20)

# Behind its history a consumer makes its leases.
_OF_LEASES = (diagnostics.RoundFailed, diagnostics.LeaseRenewalFailed, diagnostics.CheckpointFailed, ReplayWaits)


@dataclass(frozen=True)
class LoggedTrouble:
    """What a process cannot do with its lease table, in its own words, since when."""

    error: str
    since: datetime


def logged_trouble(log: Path, now: datetime) -> LoggedTrouble | None:
    """What the log's end says of its lease table; None when it says nothing, is not there, or cannot be read."""
    try:
        with log.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - _TAIL_BYTES))
            lines = file.read().splitlines()
    except OSError:
        return None
    return _standing_trouble([line for one in lines if (line := _line(one)) is not None], now)


def _standing_trouble(lines: list[Mapping[str, Any]], now: datetime) -> LoggedTrouble | None:
    """The first of an unbroken run of failures that lasts until now."""
    found: LoggedTrouble | None = None
    last: datetime | None = None
    names = {kind.__name__: kind for kind in _OF_LEASES}
    for line in lines:
        if line.get("happened") not in names:
            continue
        at = datetime.fromisoformat(str(line["at"]))
        pause = timedelta(seconds=float(line.get("retry_in_seconds") or 0))
        if found is None or last is None or at > last:
            found = LoggedTrouble(str(line.get("error")), at)
        found = LoggedTrouble(str(line.get("error")), found.since)
        last = at + pause + _PATIENCE
    return found if last is not None and now <= last else None


def _line(text: bytes) -> Mapping[str, Any] | None:
    """A line that was cut, by us or by a full disk, says nothing."""
    try:
        line = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return None
    return line if isinstance(line, dict) and isinstance(line.get("at"), str) else None
