"""A log in memory that judges commits as Delta does. `test_table.py` runs one suite against both."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from analytics.table import AddedFile, CommitRejected, LogEntry
from tests.fakes.bucket import Gate


@dataclass(frozen=True)
class Commit:
    files: tuple[AddedFile, ...]
    entries: dict[str, LogEntry]


@dataclass
class MemoryLog:
    """`through(gate)` is one holder's own connection to it."""

    commits: list[Commit] = field(default_factory=list)
    gate: Gate = field(default_factory=Gate)

    def through(self, gate: Gate) -> "MemoryLog":
        return MemoryLog(self.commits, gate)

    def snapshot(self) -> "MemorySnapshot":
        length: int = self.gate.through(lambda: len(self.commits))
        return MemorySnapshot(self, length)


@dataclass(frozen=True)
class MemorySnapshot:
    log: MemoryLog
    length: int

    def version_of(self, application: str) -> int:
        entry = self._last(application)
        return entry.n if entry else 0

    def last_entry(self, application: str) -> LogEntry | None:
        entry: LogEntry | None = self.log.gate.through(lambda: self._last(application))
        return entry

    def files(self, day: date) -> list[str]:
        return [added.path for added in self.all_files() if added.day == day]

    def all_files(self) -> list[AddedFile]:
        return [added for commit in self.log.commits[: self.length] for added in commit.files]

    def commit(self, files: Sequence[AddedFile], entries: Mapping[str, LogEntry]) -> None:
        self.log.gate.through(lambda: self._commit(tuple(files), dict(entries)))

    def _last(self, application: str) -> LogEntry | None:
        seen = self.log.commits[: self.length]
        return next((commit.entries[application] for commit in reversed(seen) if application in commit.entries), None)

    def _commit(self, files: tuple[AddedFile, ...], entries: dict[str, LogEntry]) -> None:
        # Whether numbers rise is nobody's business here, as it is none of Delta's.
        for commit in self.log.commits[self.length :]:
            if commit.entries.keys() & entries.keys():
                raise CommitRejected("concurrent transaction")
        self.log.commits.append(Commit(files, entries))
