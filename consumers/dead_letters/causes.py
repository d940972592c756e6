"""What letters of one cause have in common, whatever their records and the words of their errors."""

import hashlib
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType, TracebackType

from foundation.error_codes import error_code

_CODE = re.compile(r"[A-Za-z0-9._-]{1,64}")
# Wherever they are installed.
_OURS = frozenset({"analytics", "consumers", "events", "foundation", "producers", "takeaway"})


@dataclass(frozen=True)
class Cause:
    """`text` quotes nobody: the error's class, a service's code for it, and where in the code it came from."""

    text: str

    @property
    def short(self) -> str:
        """Twelve characters that stand for it."""
        return hashlib.sha256(self.text.encode(errors="backslashreplace")).hexdigest()[:12]


def cause_of(error: BaseException) -> Cause:
    """The same for every record, every consumer and every way to the code that raises.

    Where it came from is the innermost function that is neither the standard library's nor a dependency's: a client
    raises all that a service answers in one place.
    """
    frames = list(_frames(error.__traceback__))
    own = [frame for frame in frames if _is_own(frame)]
    raised_in = (own or frames)[-1:]
    where = "".join(f" in {_name(frame)}.{frame.f_code.co_qualname}" for frame in raised_in)
    return Cause(f"{type(error).__name__}{_code(error)}{where}")


def _code(error: BaseException) -> str:
    """A service's, of the error or of what it was raised from."""
    chain: list[BaseException] = [error]
    while (before := chain[-1].__cause__) is not None and before not in chain:
        chain.append(before)
    # guarantee: what a service answers with different codes are different causes
    code = next((code for one in chain if (code := error_code(one))), None)
    return f" {code}" if code and _CODE.fullmatch(code) else ""


def _frames(traceback: TracebackType | None) -> Iterator[FrameType]:
    while traceback is not None:
        yield traceback.tb_frame
        traceback = traceback.tb_next


def _is_own(frame: FrameType) -> bool:
    package = _name(frame).partition(".")[0]
    return package in _OURS or not (package in sys.stdlib_module_names or "site-packages" in frame.f_code.co_filename)


def _name(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "?"))
