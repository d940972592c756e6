"""What a worker notes beside its lease for those who look on: one attribute of the row, which the KCL leaves alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from consumers.processing import Trouble

# Ours alone. The KCL reads the attributes that it knows and leaves others as they are.
NOTE = "standing"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Note:
    """How a shard stands, as worker `by` sees it, which holds its lease since `held_since`.

    The checkpoint stands at `position` since `moved_at`. A row whose checkpoint or holder is another by now was written
    by somebody who keeps no notes. A child of the KCL's daemon knows neither: it leaves both names empty, and None.
    """

    by: str
    position: str
    moved_at: datetime | None
    held_since: datetime
    trouble: Trouble | None = None


def note_item(note: Note) -> dict[str, Any]:
    """The attribute's value; moments are milliseconds since 1970."""
    fields: dict[str, Any] = {
        "by": {"S": note.by},
        "position": {"S": note.position},
        "heldSince": _millis(note.held_since),
    }
    if note.moved_at is not None:
        fields["movedAt"] = _millis(note.moved_at)
    if note.trouble is not None:
        fields["error"] = {"S": note.trouble.error}
        fields["errorSince"] = _millis(note.trouble.since)
        fields["stopped"] = {"BOOL": note.trouble.stopped}
    return {"M": fields}


def note_of(item: Mapping[str, Any]) -> Note | None:
    """The note of a row; None where there is none, or none that can be read: no lease depends on it."""
    try:
        fields = item[NOTE]["M"]
        trouble = None
        if "error" in fields:
            trouble = Trouble(fields["error"]["S"], _moment(fields["errorSince"]), fields["stopped"]["BOOL"] is True)
        return Note(
            by=fields["by"]["S"],
            position=fields["position"]["S"],
            moved_at=_moment(fields["movedAt"]) if "movedAt" in fields else None,
            held_since=_moment(fields["heldSince"]),
            trouble=trouble,
        )
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def _millis(moment: datetime) -> dict[str, str]:
    return {"N": str((moment - _EPOCH) // timedelta(milliseconds=1))}


def _moment(value: Mapping[str, str]) -> datetime:
    return _EPOCH + timedelta(milliseconds=int(value["N"]))
