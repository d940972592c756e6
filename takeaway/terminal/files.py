"""Writes files of ours: each whole or not at all; a disk that refuses is told with what to do."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from takeaway.errors import UserError

# Where `up`, `demo` and `load` keep what they need, unless TAKEAWAY_HOME names another folder.
DEFAULT_HOME = ".takeaway"


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
    beside = path.with_name(f"{path.name}.new")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            beside.unlink(missing_ok=True)
            beside.touch(mode=0o600)
            beside.write_text(text, encoding="utf-8")
            beside.replace(path)
        except OSError:
            beside.unlink(missing_ok=True)
            raise
