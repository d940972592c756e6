"""Writes files of ours: each whole or not at all; a disk that refuses is told with what to do."""

import errno
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from takeaway.errors import UserError

# Where `up`, `demo` and `load` keep what they need, unless TAKEAWAY_HOME names another folder.
DEFAULT_HOME = ".takeaway"
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO})


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Around what writes to `path`, or makes it: the system's refusal becomes a `UserError` that names it."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{path} cannot be written: {error.strerror}",
            "make room there, or name another folder with TAKEAWAY_HOME, --out or --ledger, whichever is meant",
        ) from error


def private_folder(path: Path) -> None:
    """A folder for this user alone. One of an older release, under the name that is ours by default, is closed."""
    with writing(path):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if path.name == DEFAULT_HOME:
            path.chmod(0o700)


def write(path: Path, text: str) -> None:
    """All of it at once, for this user alone to read; when that fails, what was there before is still there."""
    with _beside(path, text) as beside:
        beside.replace(path)


def write_first(path: Path, text: str) -> None:
    """As `write`, unless there is such a file by now: of several processes that write at once, the first one counts."""
    # guarantee: processes that make a file at once agree on what it says
    with _beside(path, text) as beside:
        try:
            path.hardlink_to(beside)
        except OSError:
            # Another was first; or it is a file system without links.
            if not path.exists():
                beside.replace(path)


@contextmanager
def new_file(path: Path, *, overwrite: bool) -> Iterator[BinaryIO]:
    """To be written a part at a time; under its name only when all of it is there, for this user alone to read.

    Raises `UserError` where there is a file of that name and it may not be replaced, and where there is no room.
    """
    if path.is_dir():
        raise UserError(f"{path} is a folder", "name a file in it")
    if path.exists() and not overwrite:
        raise _is_there(path)
    beside = path.with_name(f"{path.name}.{uuid.uuid4().hex}.new")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.touch(mode=0o600)
    try:
        with beside.open("wb") as file:
            yield file
        _put(beside, path, overwrite=overwrite)
    except OSError as error:
        # What is written may be read elsewhere, and fail there.
        if error.errno not in _NO_ROOM:
            raise
        with writing(path):
            raise
    finally:
        beside.unlink(missing_ok=True)


def _put(beside: Path, path: Path, *, overwrite: bool) -> None:
    if not overwrite:
        # guarantee: an answer replaces no file unless told to
        try:
            path.hardlink_to(beside)
        except OSError as error:
            if path.exists():
                raise _is_there(path) from error
            # A file system without links.
        else:
            return
    beside.replace(path)


def _is_there(path: Path) -> UserError:
    return UserError(f"{path} is there already", "name another file, or replace it with --overwrite")


@contextmanager
def _beside(path: Path, text: str) -> Iterator[Path]:
    """A file of this process' own, whole, beside what is to be written; gone afterwards."""
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f"{path.name}.{uuid.uuid4().hex}.new")
        try:
            beside.touch(mode=0o600)
            beside.write_text(text, encoding="utf-8")
            yield beside
        finally:
            beside.unlink(missing_ok=True)
