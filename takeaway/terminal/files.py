"""Writes files of ours: each whole or not at all; a disk that refuses is told with what to do."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from takeaway.errors import UserError


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


def write(path: Path, text: str, *, mode: int = 0o644) -> None:
    """All of it at once; when that fails, what was there before is still there."""
    beside = path.with_name(f"{path.name}.new")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            beside.unlink(missing_ok=True)
            beside.touch(mode=mode)
            beside.write_text(text, encoding="utf-8")
            beside.replace(path)
        except OSError:
            beside.unlink(missing_ok=True)
            raise
