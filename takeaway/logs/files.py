"""The log files of a home: read to their ends, and on from there, over restarts and rotations."""

import heapq
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from takeaway.logs.lines import LONG_AGO, LogLine, log_line

_BLOCK = 1024 * 1024


class LogFile:
    """One file. Each line comes once, when it has its end; of one that was cut off, what there is comes at the end.

    A file that was emptied is read from its beginning, and one that was put in its place after the rest of the old one.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: BinaryIO | None = None
        self._rest = b""
        self._at = LONG_AGO

    def lines(self) -> Iterator[LogLine]:
        """Those that have come since the last time, as far as there are any now."""
        yield from self._new_lines()
        if self._is_another():
            yield from self._cut_off()
            self.close()
            yield from self._new_lines()

    def _cut_off(self) -> Iterator[LogLine]:
        rest, self._rest = self._rest, b""
        if rest:
            yield self._line(rest)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _new_lines(self) -> Iterator[LogLine]:
        if self._file is None:
            try:
                self._file = self.path.open("rb")
            except FileNotFoundError:
                # Renamed, and the next one is not there yet.
                return
        if os.fstat(self._file.fileno()).st_size < self._file.tell():
            yield from self._cut_off()
            self._file.seek(0)
        while block := self._file.read(_BLOCK):
            # guarantee: a line of a log that was cut off is told when it is whole
            *whole, self._rest = (self._rest + block).split(b"\n")
            for data in whole:
                if data.strip():
                    yield self._line(data)

    def _is_another(self) -> bool:
        try:
            there = self.path.stat()
        except FileNotFoundError:
            return False
        if self._file is None:
            return True
        ours = os.fstat(self._file.fileno())
        return (there.st_dev, there.st_ino) != (ours.st_dev, ours.st_ino)

    def _line(self, data: bytes) -> LogLine:
        line = log_line(self.path.stem, data, self._at)
        self._at = line.at
        return line


class LogFolder:
    """All logs of a folder, or of the processes that are named; one that begins later is found when it is there."""

    def __init__(self, folder: Path, processes: frozenset[str] | None = None) -> None:
        self._folder = folder
        self._processes = processes
        self._files: dict[Path, LogFile] = {}

    def lines(self) -> Iterator[LogLine]:
        """What has come since the last time, merged by when it happened. A file's own order is kept."""
        for path in sorted(self._folder.glob("*.log")):
            if path not in self._files and (self._processes is None or path.stem in self._processes):
                self._files[path] = LogFile(path)
        yield from heapq.merge(*(file.lines() for file in self._files.values()), key=lambda line: line.at)

    def __enter__(self) -> "LogFolder":
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._files.values():
            file.close()
