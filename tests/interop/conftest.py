"""A local AWS that the KCL understands, a stream on it, and processes of either engine."""

import os
import shutil
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from takeaway.local import backends, processes
from tests.conftest import the_backend
from tests.interop.world import World
from tests.support.tables import Tables


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What cannot run here says why, and is counted as skipped."""
    why = _missing()
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.interop)
            item.add_marker(pytest.mark.end_to_end)
            item.add_marker(pytest.mark.timeout(400))
            item.add_marker(pytest.mark.xdist_group("interop"))
            if why:
                item.add_marker(pytest.mark.skip(reason=why))


def _missing() -> str | None:
    if shutil.which("java") is None:
        return "no java on the PATH. fix: install Java 17"
    if find_spec("amazon_kclpy") is None or find_spec("cbor2") is None:
        return "the KCL is not installed. fix: `make install`"
    if the_backend() is not backends.EMBEDDED:
        return f"{the_backend().name} does not speak HTTP/2 without TLS, as the KCL does. fix: the embedded back end"
    return None


@pytest.fixture
def world(local_aws_reached: dict[str, str], tmp_path: Path) -> Iterator[World]:
    made = World({**os.environ, **local_aws_reached}, tmp_path)
    yield made
    processes.stop_processes(made.running, grace=5)


@pytest.fixture
def tables(record_property: Callable[[str, object], None]) -> Tables:
    return Tables(record_property)
