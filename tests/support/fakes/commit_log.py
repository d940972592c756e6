"""A log in memory that judges commits as Delta does. `test_table.py` runs one suite against both."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from analytics.table.log import AddedFile, CommitRejected, LogEntry, LoggedCommit
from tests.support.fakes.bucket import Gate
from tests.support.fakes.clock import START


@dataclass(frozen=True)
class Commit:
    files: tuple[AddedFile, ...]
    entries: dict[str, LogEntry]
    removed: frozenset[str] = frozenset()
    at: datetime = START
    operation: str = "WRITE"


@dataclass
class MemoryLog:
    """`through(gate)` is one holder's own connection to it."""

    commits: list[Commit] = field(default_factory=list)
    gate: Gate = field(default_factory=Gate)
    now: Callable[[], datetime] = lambda: START
    # How long a removal is told.
    memory: timedelta = timedelta(weeks=1)

    def through(self, gate: Gate) -> "MemoryLog":
        return MemoryLog(self.commits, gate, self.now, self.memory)

    def exists(self) -> bool:
        return bool(self.commits)

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

    @property
    def version(self) -> int:
        return self.length

    def files(self, day: date) -> list[str]:
        return [added.path for added in self.all_files() if added.day == day]

    def all_files(self) -> list[AddedFile]:
        live: dict[str, AddedFile] = {}
        for commit in self._seen():
            live = {path: added for path, added in live.items() if path not in commit.removed}
            live |= {added.path: added for added in commit.files}
        return list(live.values())

    def history(self) -> Iterator[LoggedCommit]:
        for index in reversed(range(self.length)):
            commit = self.log.commits[index]
            yield LoggedCommit(index + 1, commit.operation, commit.entries)
        yield LoggedCommit(0, "CREATE TABLE")

    @property
    def remembers(self) -> timedelta:
        return self.log.memory

    def unneeded(self, retention: timedelta) -> set[str]:
        # As after a checkpoint, which may come at any moment: what is older than that is forgotten.
        old = [commit for commit in self._seen() if retention <= self.log.now() - commit.at <= self.remembers]
        return {path for commit in old for path in commit.removed}

    def commit(
        self, files: Sequence[AddedFile], entries: Mapping[str, LogEntry], *, replacing: date | None = None
    ) -> None:
        removed = frozenset(self.files(replacing)) if replacing else frozenset()
        self.log.gate.through(lambda: self._commit(Commit(tuple(files), dict(entries), removed, self.log.now())))

    def _last(self, application: str) -> LogEntry | None:
        return next(
            (commit.entries[application] for commit in reversed(self._seen()) if application in commit.entries), None
        )

    def _seen(self) -> list[Commit]:
        return self.log.commits[: self.length]

    def _commit(self, commit: Commit) -> None:
        # Whether numbers rise is nobody's business here, as it is none of Delta's.
        for other in self.log.commits[self.length :]:
            if other.entries.keys() & commit.entries.keys():
                raise CommitRejected("concurrent transaction")
            if other.removed:
                raise CommitRejected("a concurrent transaction deleted data this operation read")
        self.log.commits.append(commit)
