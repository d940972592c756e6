"""Questions to a back end that may never answer: each has a time limit, and silence is an answer too."""

import re
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Generic, TypeVar

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError
from deltalake.exceptions import DeltaError

from foundation.clock import SYSTEM_CLOCK, Clock

Answer = TypeVar("Answer")


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
        threading.Thread(target=self._ask, name="asking", daemon=True).start()

    def answer(self) -> Answer | Unanswered:
        """The answer, or why there is none. Raises when there are no credentials to ask with, or for a bug."""
        try:
            return self._future.result(max(0.0, self._until - self._clock.monotonic()))
        except TimeoutError:
            return Unanswered(f"no answer within {self._seconds:g} s")
        except NoCredentialsError:
            raise
        except (ClientError, BotoCoreError, OSError, DeltaError) as error:
            return Unanswered(reason(error))

    def _ask(self) -> None:
        try:
            self._future.set_result(self._question())
        except Exception as error:  # noqa: BLE001 - raised again where the answer is taken
            self._future.set_exception(error)


def reason(error: Exception) -> str:
    """The error in one line: a storage layer's own words run over many, and the code among them says what is wrong."""
    if isinstance(error, ClientError):
        return error_code(error)
    code = re.search(r"<Code>(\w+)</Code>", str(error))
    return code[1] if code else str(error).partition("\n")[0] or type(error).__name__


def error_code(error: ClientError) -> str:
    return error.response["Error"]["Code"]
