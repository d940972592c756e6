"""Runs each case of the suite for each engine that can have it."""

from collections.abc import Callable, Iterator

import pytest

from tests.conformance.differences import ENGINES, KCL, LAMBDA, WORKER, cannot
from tests.conformance.engine import Engine, Gone
from tests.conformance.kcl_engine import KclEngine
from tests.conformance.lambda_engine import LambdaEngine
from tests.conformance.scene import Scene
from tests.conformance.worker_engine import WorkerEngine

MAKES: dict[str, Callable[[Scene], Engine]] = {WORKER: WorkerEngine, KCL: KclEngine, LAMBDA: LambdaEngine}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "engine" in metafunc.fixturenames:
        case = metafunc.function.__name__.removeprefix("test_")
        metafunc.parametrize("engine", [one for one in ENGINES if not cannot(one, case)], indirect=True)


@pytest.fixture
def scene() -> Scene:
    return Scene()


@pytest.fixture
def engine(request: pytest.FixtureRequest, scene: Scene) -> Iterator[Engine]:
    made = MAKES[request.param](scene)
    yield made
    for hook in ("before", "after"):
        setattr(scene, hook, lambda _: None)
    for hook in ("before_flush", "after_flush", "before_opening"):
        setattr(scene, hook, lambda: None)
    made.end()
    assert [crash for crash in scene.threads.crashes if not isinstance(crash, Gone)] == [], "a thread died unexpectedly"
