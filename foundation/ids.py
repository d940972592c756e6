"""Ids that nothing had before, as a parameter: tests count."""

import uuid
from collections.abc import Callable

NewId = Callable[[], str]


def random_id() -> str:
    return uuid.uuid4().hex
