"""A stack that is stopped waits for each process, and at a Ctrl-C for none of them any more."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from takeaway.local import Running, Service, start_process, stop_processes
from takeaway.stack import API, Stack
from takeaway.stack.flow import API_START_SECONDS
from tests.support.flow import until

pytestmark = pytest.mark.slow

# It does not end when it is asked to.
STUBBORN = "import pathlib, signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); \
pathlib.Path(sys.argv[1]).touch(); time.sleep(600)"


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """One whose API and archiver do not end by themselves."""
    found = Stack(tmp_path, following=False)
    for name in (API, "archiver"):
        up = tmp_path / f"{name}.up"
        service = Service(name, "takeaway.programs.foreign", [sys.executable, "-c", STUBBORN, str(up)])
        found._started(start_process(service, environ=os.environ, logs=tmp_path / "logs"))
        until(up.exists, within=API_START_SECONDS)
    started: list[Running] = list(found.running)
    yield found
    stop_processes(started, grace=0)


def test_a_ctrl_c_while_it_waits_ends_all_at_once_and_what_it_knew_is_gone(stack: Stack) -> None:
    running = list(stack.running)
    told: list[str] = []

    def tell(what: str) -> None:
        told.append(what)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stack.stop(tell)
    assert len(told) == 1, "it waited for one more"
    assert told[0].startswith("api, 30 s at most; 2 of 2 left")
    assert [one.process() for one in running] == [None, None]
    assert not (stack.home / "services.json").exists()
    assert stack.running == []
