"""Work done in several threads at once: all of them end, and what one raises is heard."""

import threading
from collections.abc import Callable

import pytest

from foundation.threads import in_parallel


def test_one_thread_is_this_one() -> None:
    ran_in: list[threading.Thread] = []
    in_parallel(lambda: ran_in.append(threading.current_thread()), 1, name="work", thread=threading.Thread)
    assert ran_in == [threading.current_thread()]


def test_several_run_at_once_and_are_daemons() -> None:
    together = threading.Barrier(4, timeout=10)
    daemons: list[bool] = []

    def work() -> None:
        together.wait()
        daemons.append(threading.current_thread().daemon)

    in_parallel(work, 4, name="work", thread=threading.Thread)
    assert daemons == [True] * 4


@pytest.mark.parametrize("error", [ValueError(), SystemExit(), KeyboardInterrupt()])
def test_what_one_raises_is_raised_when_all_have_ended(error: BaseException) -> None:
    turns = iter(range(4))
    ended: list[int] = []

    def work() -> None:
        if (turn := next(turns)) == 0:
            raise error
        ended.append(turn)

    with pytest.raises(type(error)):
        in_parallel(work, 4, name="work", thread=threading.Thread)
    assert sorted(ended) == [1, 2, 3]


def test_those_that_were_started_are_waited_for_when_no_more_can_be() -> None:
    started: list[threading.Thread] = []
    ended: list[int] = []

    def thread(*, target: Callable[[], None], name: str, daemon: bool) -> threading.Thread:
        if len(started) == 2:
            raise RuntimeError("can't start new thread")
        started.append(threading.Thread(target=target, name=name, daemon=daemon))
        return started[-1]

    with pytest.raises(RuntimeError, match="can't start"):
        in_parallel(lambda: ended.append(1), 4, name="work", thread=thread)
    assert len(ended) == 2
