"""A file of ours is there whole or as it was before; a disk that refuses is told with what to do about it."""

import errno
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from takeaway.errors import UserError
from takeaway.local import processes
from takeaway.local.processes import Service
from takeaway.terminal.files import new_file, private_folder, write, write_first


def test_a_file_and_its_folder_are_made(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    write(path, "first")
    write(path, "second")
    assert path.read_text() == "second"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_what_several_make_at_once_is_what_the_first_made(tmp_path: Path) -> None:
    for number in range(20):
        path, start = tmp_path / str(number) / "token.key", threading.Barrier(8)

        def made(text: str, path: Path = path, start: threading.Barrier = start) -> str:
            start.wait()
            write_first(path, text)
            return path.read_text()

        with ThreadPoolExecutor(8) as makers:
            read = set(makers.map(made, "abcdefgh"))
        assert len(read) == 1
        assert list(path.parent.iterdir()) == [path]


def test_a_home_of_an_older_release_is_closed_and_another_folder_left_as_it_is(tmp_path: Path) -> None:
    ours, users = tmp_path / ".takeaway", tmp_path / "users"
    for folder in (ours, users):
        folder.mkdir()
        folder.chmod(0o755)
        private_folder(folder)
    assert [stat.S_IMODE(folder.stat().st_mode) for folder in (ours, users)] == [0o700, 0o755]
    private_folder(tmp_path / "new")
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700


def test_what_was_there_stays_when_the_disk_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "report.html"
    write(path, "before")

    def full(self: Path, text: str, encoding: str) -> int:
        self.write_bytes(text.encode(encoding)[:3])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(UserError, match=r"report\.html cannot be written: No space left on device") as raised:
        write(path, "after")
    assert "make room" in raised.value.fix
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_log_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file where the folder should be")
    with pytest.raises(UserError, match=r"logs/archiver\.log cannot be written: "):
        processes.start_process(Service("archiver", "nothing"), environ={}, logs=tmp_path / "logs")


def test_a_new_file_is_there_when_all_of_it_is(tmp_path: Path) -> None:
    path = tmp_path / "new" / "answer.csv"
    with new_file(path, overwrite=False) as file:
        file.write(b"half ")
        assert not path.exists()
        file.write(b"and half")
    assert path.read_bytes() == b"half and half"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(ValueError, match="no"):
        _broken_off(path)
    assert path.read_bytes() == b"half and half"
    assert list(path.parent.iterdir()) == [path]
    with new_file(path, overwrite=True) as file:
        file.write(b"other")
    assert path.read_bytes() == b"other"


def _broken_off(path: Path) -> None:
    with new_file(path, overwrite=True) as file:
        file.write(b"other")
        raise ValueError("no")


def _beside_another(path: Path) -> None:
    with new_file(path, overwrite=False) as file:
        file.write(b"mine")
        path.write_text("another's")


def test_a_file_that_is_there_or_comes_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "answer.csv"
    with pytest.raises(UserError, match="is there already"):
        _beside_another(path)
    assert path.read_text() == "another's"
    with pytest.raises(UserError, match="is there already"), new_file(path, overwrite=False):
        pass
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(UserError, match="is a folder"), new_file(tmp_path, overwrite=True):
        pass
    with pytest.raises(UserError, match="cannot be written"), new_file(path / "below", overwrite=False):
        pass


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_without_room_is_told_and_what_was_read_elsewhere_is_not_blamed_on_it(
    tmp_path: Path, number: int
) -> None:
    with pytest.raises(UserError, match="cannot be written"), new_file(tmp_path / "answer", overwrite=False):
        raise OSError(number, "no room")
    with pytest.raises(OSError, match="AWS Error"), new_file(tmp_path / "answer", overwrite=False):
        raise OSError("AWS Error")
    assert list(tmp_path.iterdir()) == []
