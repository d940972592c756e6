"""A process reads the golden bytes of its own contract, or does not start."""

from collections.abc import Callable, Mapping

import pytest

from events import self_test
from events.orders import EVENT_TYPES, EVENTS
from events.self_test import CannotRead, golden_bytes, require_reading


def test_this_release_reads_what_it_was_built_with() -> None:
    assert len(golden_bytes()) >= len(EVENTS)
    require_reading()


def without(name: str) -> Callable[[], Mapping[str, bytes]]:
    return lambda: {one: data for one, data in golden_bytes().items() if one != name}


@pytest.mark.parametrize("event", EVENTS)
def test_each_event_and_version_must_be_there_and_read(monkeypatch: pytest.MonkeyPatch, event: type) -> None:
    name = f"{EVENT_TYPES[event]}.v1"
    golden = golden_bytes()
    for broken, said in [
        (without(name)(), "not packaged"),
        ({**golden, name: golden[name][:-9]}, "truncated"),
        (
            {**golden, name: golden[name].replace(b'"schema_version":1', b'"schema_version":9')},
            "v9, which is not known",
        ),
        ({**golden, name: golden[next(one for one in golden if one != name)]}, "they are read as"),
    ]:
        monkeypatch.setattr(self_test, "golden_bytes", lambda broken=broken: broken)
        with pytest.raises(CannotRead, match=f"golden bytes of {name}: .*{said}.*fix: ") as raised:
            require_reading()
        assert "ada" not in str(raised.value).lower()
