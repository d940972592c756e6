"""How a command ends."""

import os
import threading

import pytest

from takeaway import cli
from takeaway.stack import Asked


class Ended(BaseException):
    """In place of the end of the process."""


def test_a_question_that_is_still_asked_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that is asking as the interpreter ends aborts the process, whose exit code is then none of ours."""
    answered, codes = threading.Event(), list[int]()

    def ends(code: int) -> None:
        codes.append(code)
        raise Ended

    def exits() -> None:
        raise SystemExit(1)

    monkeypatch.setattr(cli, "app", exits)
    monkeypatch.setattr(os, "_exit", ends)
    monkeypatch.setattr(os, "umask", lambda _: 0)
    asked = Asked(answered.wait, seconds=0)
    with pytest.raises(Ended):
        cli.main()
    assert codes == [1]
    answered.set()
    asked._future.result(timeout=10)
    monkeypatch.setattr(cli, "is_still_asked", lambda: False)
    with pytest.raises(SystemExit):
        cli.main()
    assert codes == [1]
