"""A process that cannot read what it was built with must not call other people's records broken."""

from collections.abc import Mapping
from importlib.resources import files

from events.wire import KNOWN_EVENTS, UnreadableEvent, read


class CannotRead(RuntimeError):
    """This process fails on the golden bytes of its own contract, and must not start."""


def golden_bytes() -> Mapping[str, bytes]:
    """By names as `order_placed.v1`: each event as it was first written, packaged with the code."""
    folder = files("events") / "golden"
    return {
        file.name.removesuffix(".json"): file.read_bytes() for file in folder.iterdir() if file.name[-5:] == ".json"
    }


def require_reading() -> None:
    """Reads the golden bytes of every event type and version. Raises `CannotRead` when one of them is not read whole.

    A verdict on a record is worth something only behind this.
    """
    golden = golden_bytes()
    for name in sorted({*golden, *KNOWN_EVENTS}):
        if name not in golden:
            raise CannotRead(_says(name, "they are not packaged"))
        try:
            header, event = read(golden[name])
        except UnreadableEvent as error:
            raise CannotRead(_says(name, str(error))) from error
        if event is None or header.name != name:
            raise CannotRead(
                _says(name, f"they are read as {header.name}{', which is not known' if event is None else ''}")
            )


def _says(name: str, what: str) -> str:
    return (
        f"this process cannot read the golden bytes of {name}: {what}. It would hold good records to be broken, so it "
        "does not start. fix: deploy a release whose package `events` is whole, with the libraries of its lock file"
    )
