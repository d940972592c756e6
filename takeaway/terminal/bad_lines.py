"""Lines of a history that are no events, kept in a file of their own: each once, however often it is loaded."""

import json
import os
from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from takeaway.errors import UserError

if TYPE_CHECKING:
    from analytics.maintenance import BadLine


class BadLines:
    """One JSON object a line: `line`, its number from 1; `error`; and `data`, its bytes in base64.

    What a kill cut off in the middle is removed when the file is opened again.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known = self._cleaned()

    @property
    def count(self) -> int:
        return len(self._known)

    def add(self, bad: "Sequence[BadLine]") -> None:
        """Comes back when they are on the disk."""
        new = [one for one in bad if one.number not in self._known]
        if not new:
            return
        with self.path.open("ab") as file:
            for one in new:
                told = {"line": one.number, "error": str(one.error), "data": b64encode(one.data).decode()}
                file.write(json.dumps(told).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self._known |= {one.number for one in new}

    def _cleaned(self) -> set[int]:
        if not self.path.exists():
            return set()
        whole, _, torn = self.path.read_bytes().rpartition(b"\n")
        try:
            known = {int(json.loads(line)["line"]) for line in whole.splitlines()}
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise UserError(
                f"{self.path} is there, and has no bad lines of a history: {error!r}",
                "name another file with --bad-lines, or move this one away",
            ) from error
        if torn:
            os.truncate(self.path, len(whole) + 1 if whole else 0)
        return known
