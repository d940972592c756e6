"""Logs are read once, line by line, whatever becomes of the files: torn, emptied, put aside, begun later."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from takeaway.logs import LogFolder
from takeaway.logs.lines import LONG_AGO
from tests.support.builders import NOON


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[LogFolder]:
    with LogFolder(tmp_path) as folder:
        yield folder


def told(after: float, /, **fields: Any) -> str:
    at = (NOON + timedelta(seconds=after)).isoformat()
    return json.dumps({"at": at, "application": "x", "happened": "Told", **fields}) + "\n"


def numbers(folder: LogFolder) -> list[Any]:
    return [(line.process, line.told["n"] if line.told else line.text) for line in folder.lines()]


def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def test_processes_are_merged_by_time_and_other_words_stay_behind_their_line(tmp_path: Path, folder: LogFolder) -> None:
    (tmp_path / "api.log").write_text(told(1, n=1) + "Traceback:\n  boom\n" + told(4, n=4))
    (tmp_path / "archiver.log").write_text("at the start\n\n" + told(2, n=2) + told(3, n=3))
    (tmp_path / "notes.txt").write_text(told(0, n=0))
    lines = list(folder.lines())
    assert [line.told["n"] if line.told else line.text for line in lines] == [
        *("at the start", 1, "Traceback:", "  boom", 2, 3, 4)
    ]
    assert [line.at for line in lines[:4]] == [LONG_AGO, *[NOON + timedelta(seconds=1)] * 3]


def test_a_line_that_is_cut_off_is_told_once_when_it_is_whole(tmp_path: Path, folder: LogFolder) -> None:
    path, line = tmp_path / "api.log", told(1, n=1)
    path.write_text(line[:20])
    assert numbers(folder) == []
    append(path, line[20:] + told(2, n=2) + "{")
    assert numbers(folder) == [("api", 1), ("api", 2)]
    assert numbers(folder) == []


def test_a_restart_appends_and_a_process_that_begins_later_is_found(tmp_path: Path, folder: LogFolder) -> None:
    (tmp_path / "api.log").write_text(told(1, n=1))
    assert numbers(folder) == [("api", 1)]
    append(tmp_path / "api.log", told(3, n=3))
    (tmp_path / "watcher.log").write_text(told(2, n=2))
    assert numbers(folder) == [("watcher", 2), ("api", 3)]


def test_one_that_is_put_aside_is_read_to_its_end_before_the_next(tmp_path: Path, folder: LogFolder) -> None:
    """Also while the next one is not there yet: the process still writes into the one it has."""
    path, aside = tmp_path / "api.log", tmp_path / "api.log.1"
    path.write_text(told(1, n=1))
    assert numbers(folder) == [("api", 1)]
    path.rename(aside)
    append(aside, told(2, n=2))
    assert numbers(folder) == [("api", 2)]
    append(aside, told(3, n=3) + "cut o")
    path.write_text(told(4, n=4))
    assert numbers(folder) == [("api", 3), ("api", "cut o"), ("api", 4)]


def test_one_that_is_emptied_is_read_from_its_beginning(tmp_path: Path, folder: LogFolder) -> None:
    path = tmp_path / "api.log"
    path.write_text(told(1, n=1) + told(2, n=2))
    assert len(numbers(folder)) == 2
    path.write_text(told(3, n=3))
    assert numbers(folder) == [("api", 3)]


@pytest.mark.parametrize(
    "line",
    [
        *("null", "[1]", '"text"', "{}", '{"at": 1, "happened": "X"}', '{"at": "soon", "happened": "X"}'),
        *(
            '{"at": "2026-03-14T12:00:00", "happened": "X"}',
            '{"at": "2026-03-14T12:00:00Z"}',
            "\x00\x1b[31m",
            "[" * 5000,
        ),
    ],
)
def test_what_is_no_happening_is_words_and_trouble(tmp_path: Path, folder: LogFolder, line: str) -> None:
    (tmp_path / "api.log").write_text(told(1, n=1) + line + "\n")
    _, words = folder.lines()
    assert (words.text, words.told, words.is_trouble) == (line, None, True)
    assert words.at == NOON + timedelta(seconds=1)


def test_bytes_that_are_no_text_are_shown_as_such(tmp_path: Path, folder: LogFolder) -> None:
    (tmp_path / "api.log").write_bytes(b"\xff\xfe\n")
    assert [line.text for line in folder.lines()] == ["\ufffd\ufffd"]
