"""Questions to a back end that may never answer: each has a time limit, and silence is an answer too."""

import re
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Generic, TypeVar
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from foundation.clock import SYSTEM_CLOCK, Clock
from foundation.error_codes import error_code

Answer = TypeVar("Answer")

# What colours a terminal, and what delta-rs puts before each cause.
_ESCAPES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_CAUSE = "↳"
# What Delta's kernel puts around a cause.
_FRAME = re.compile(r"^((Kernel error|Generic delta kernel error|Invalid Input Error): )+|: ParsedLogPath .*")
_CONNECT_SECONDS = 2.0
_THREAD = "asking"


def is_still_asked() -> bool:
    """Whether a question that was given up still waits for its answer."""
    return any(thread.name == _THREAD for thread in threading.enumerate())


@dataclass(frozen=True)
class Unanswered:
    """Why there is no answer."""

    reason: str


class Asked(Generic[Answer]):
    """A question under way, in a thread of its own: one that hangs costs its time limit, and the process can end."""

    def __init__(self, question: Callable[[], Answer], seconds: float, clock: Clock = SYSTEM_CLOCK) -> None:
        self._question = question
        self._seconds = seconds
        self._clock = clock
        self._until = clock.monotonic() + seconds
        self._future: Future[Answer] = Future()
        threading.Thread(target=self._ask, name=_THREAD, daemon=True).start()

    def answer(self) -> Answer | Unanswered:
        """The answer, or why there is none. Raises when there are no credentials to ask with, or for a bug."""
        try:
            return self._future.result(max(0.0, self._until - self._clock.monotonic()))
        except TimeoutError:
            return Unanswered(f"no answer within {self._seconds:g} s")
        except NoCredentialsError:
            raise
        except (ClientError, BotoCoreError, OSError) as error:
            return Unanswered(reason(error))
        except Exception as error:
            # Loaded where it is needed alone: most questions are none to the lake.
            from deltalake.exceptions import DeltaError

            if not isinstance(error, DeltaError):
                raise
            return Unanswered(reason(error))

    @property
    def is_over(self) -> bool:
        """Whether its thread is done: with one that hangs, it is better not asked again."""
        return self._future.done()

    def _ask(self) -> None:
        try:
            self._future.set_result(self._question())
        except Exception as error:  # noqa: BLE001 - raised again where the answer is taken
            self._future.set_exception(error)


def reason(error: Exception) -> str:
    """The error in one line: a storage layer's own words run over many, and one of them says what is wrong."""
    if code := error_code(error):
        return code
    text = _ESCAPES.sub("", str(error)).strip()
    if found := re.search(r"<Code>(\w+)</Code>", text):
        return found[1]
    lines = text.splitlines() or [type(error).__name__]
    # A chain of causes, the first of them told last.
    return _FRAME.sub("", (lines[-1] if _CAUSE in text else lines[0]).strip(f" {_CAUSE}"))


def answers(url: str) -> bool:
    """Whether anybody listens there."""
    host = urlsplit(url)
    port = host.port or {"https": 443}.get(host.scheme, 80)
    try:
        with socket.create_connection((host.hostname or "", port), timeout=_CONNECT_SECONDS):
            return True
    except OSError:
        return False
