"""What a shell offers behind Tab, where that is known without asking any AWS."""

from collections.abc import Callable, Iterable

from consumers.specs import CONSUMERS, readers
from takeaway.local import BACKENDS
from takeaway.stack import HOME

Offers = Callable[[str], list[str]]


def offering(names: Callable[[], Iterable[str]]) -> Offers:
    """Those of the names that begin as what is typed so far."""
    return lambda incomplete: [name for name in names() if name.startswith(incomplete)]


def _processes() -> list[str]:
    """Those that have told something here, and the consumers that run in them."""
    told = {path.stem for path in (HOME / "logs").glob("*.log")}
    return sorted(told | {name for name, spec in CONSUMERS.items() if spec.reader in told})


def _roles() -> tuple[str, ...]:
    from typing import get_args

    from producers.orders import Role

    return get_args(Role)


def _event_types() -> list[str]:
    from events import EVENT_TYPES

    return list(EVENT_TYPES.values())


def _scenarios() -> Iterable[str]:
    from producers.load.market import SCENARIOS

    return SCENARIOS


consumers = offering(lambda: CONSUMERS)
processes = offering(_processes)
readers_of_the_stream = offering(readers)
backends = offering(lambda: BACKENDS)
roles = offering(_roles)
event_types = offering(_event_types)
scenarios = offering(_scenarios)
