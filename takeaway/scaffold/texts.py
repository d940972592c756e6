"""What a new consumer's module, test, line and steps say, laid out as ruff does it."""

from collections.abc import Iterable, Sequence

from events import EVENT_TYPES, Event
from takeaway.scaffold.asked import SHARE, NewConsumer

_WIDEST = 120
_TYPING = """
if TYPE_CHECKING:
    from consumers.settings import ConsumerSettings
"""
_BUILDS = ['_settings: "ConsumerSettings"', "_client: Callable[[str], Any]"]


def events_of(new: NewConsumer) -> tuple[type[Event], ...]:
    """What it hears and tells."""
    return new.listens_to if new.publishes is None else (*new.listens_to, new.publishes)


def module(new: NewConsumer) -> str:
    tells = "no event" if new.publishes is None else EVENT_TYPES[new.publishes]
    said = f'"""Hears {_told_in_words(new.listens_to)} and tells {tells}."""'
    if len(said) > _WIDEST:
        said = f'"""Hears {len(new.listens_to)} kinds of events and tells {tells}."""'
    names = {"EventEnvelope", *(event.__name__ for event in events_of(new))}
    alias = _union("Hears", [event.__name__ for event in new.listens_to])
    ours = imported("consumers.steps", {"Stateful"}) if new.stateful else ""
    third_party = "\nimport msgspec\n" if new.stateful else ""
    body = _stateful(new) if new.stateful else _answering(new) if new.publishes else _has_effect()
    return (
        f"{said}\n\n"
        f"from collections.abc import Callable\nfrom typing import TYPE_CHECKING, Any\n{third_party}\n"
        f"{ours}{imported('events', names)}{_TYPING}\n{alias}\n{body}"
    )


def _has_effect() -> str:
    return f'''
{_def("handler", _BUILDS, "Callable[[EventEnvelope[Hears]], None]")}
    """`client("sns")` would be a client of boto3. What is made here is made once, and used by several threads."""
    return have_effect


def have_effect(heard: EventEnvelope[Hears]) -> None:
    """What this consumer is for. After a crash it may happen again, with the same `heard.event_id`.

    Raises `Unavailable` for what a later try may mend, `Unprocessable` for what none will, of consumers.processing.
    """
'''


def _answering(new: NewConsumer) -> str:
    tells = "" if new.publishes is None else new.publishes.__name__
    return f'''
{_def("handler", _BUILDS, f"Callable[[EventEnvelope[Hears]], {tells} | None]")}
    """`client("sns")` would be a client of boto3. What is made here is made once, and used by several threads."""
    return answer


{_def("answer", ["_heard: EventEnvelope[Hears]"], f"{tells} | None")}
    """What is told because of the event; None for nothing, as long as none is true to tell.

    Raises `Unavailable` for what a later try may mend, `Unprocessable` for what none will, of consumers.processing.
    """
    return None
'''


def _stateful(new: NewConsumer) -> str:
    tells = "None" if new.publishes is None else f"{new.publishes.__name__} | None"
    return f'''
class Customer(msgspec.Struct, frozen=True):
    """What is remembered of a customer. A field that is added later has a default."""

    events: int = 0
    newest_order: str = ""


{_def("stateful", _BUILDS, "Stateful[Customer, Hears]")}
    return Stateful(key=lambda heard: heard.event.customer_id, begin=Customer(), decide=decide)


{_def("decide", ["customer: Customer", "heard: EventEnvelope[Hears]"], f"tuple[Customer, {tells}]")}
    """The state after the event, and what is told because of it. Pure: it may be asked again about the same."""
    return Customer(customer.events + 1, heard.order_id), None
'''


def test(new: NewConsumer) -> str:
    shown = {"Customer", "decide", "stateful"} if new.stateful else {"answer" if new.publishes else "handler"}
    body = _STATEFUL_TEST if new.stateful else _ANSWER_TEST if new.publishes else _EFFECT_TEST
    # Neither is asked for anything by what the module says first.
    needless = "NOTHING: Any = None\n" if new.stateful or not new.publishes else ""
    types = _exploded("HEARS = {", [f'"{EVENT_TYPES[event]}"' for event in new.listens_to], "}")
    return f'''"""What {new.name} hears, and what becomes of that."""

from typing import Any

import pytest

from consumers.specs import CONSUMERS
{imported(f"consumers.subscribers.{new.name}", shown)}from events import decode_only, golden_bytes

{types}# Each event of these types as it was first written, in each version there was.
LISTENS_TO = CONSUMERS["{new.name}"].listens_to
HEARD: list[Any] = [heard for data in golden_bytes().values() if (heard := decode_only(LISTENS_TO, data))]
{needless}

def test_it_hears_its_events_and_no_others() -> None:
    assert {{heard.event_type for heard in HEARD}} == HEARS

{body}'''


_EFFECT_TEST = """
@pytest.mark.parametrize("heard", HEARD)
def test_it_asks_no_service_yet(heard: Any) -> None:
    asked = list[str]()
    handler(NOTHING, asked.append)(heard)
    assert asked == []
"""
_ANSWER_TEST = """
@pytest.mark.parametrize("heard", HEARD)
def test_it_tells_nothing_yet(heard: Any) -> None:
    assert answer(heard) is None
"""
_STATEFUL_TEST = """
@pytest.mark.parametrize("heard", HEARD)
def test_each_event_counts_and_nothing_is_told_yet(heard: Any) -> None:
    assert decide(Customer(events=4, newest_order="order-1"), heard) == (Customer(5, heard.order_id), None)


@pytest.mark.parametrize("heard", HEARD)
def test_a_state_is_a_customers_and_begins_with_nothing(heard: Any) -> None:
    made = stateful(NOTHING, NOTHING)
    assert (made.key(heard), made.begin) == (heard.event.customer_id, Customer(0, ""))
"""


def spec(new: NewConsumer) -> str:
    """Its line in the list of consumers."""
    arguments = [
        f'part=first_step("{new.name}")',
        f'build="consumers.subscribers.{new.name}:{"stateful" if new.stateful else "handler"}"',
        f"reads_per_second={SHARE:g}",
        "begins=Beginning.NOW",
    ]
    return _exploded("    ConsumerSpec(", arguments, "),")


def steps(new: NewConsumer) -> str:
    """Its steps of the choreography."""
    return "".join(
        _exploded(
            "    Step(",
            [
                f'"{step.actor}"',
                "" if step.listens_to is None else step.listens_to.__name__,
                f"({', '.join(event.__name__ for event in step.publishes)}{',' if step.publishes else ''})",
                "Bound.HANDLER",
                f'owner="{step.owner}"',
            ],
            "),",
        )
        for step in new.steps
    )


def imported(module: str, names: Iterable[str]) -> str:
    return _exploded(f"from {module} import ", sorted(names, key=_as_ruff_sorts), "", brackets=("(", ")"))


def _as_ruff_sorts(name: str) -> tuple[bool, str]:
    """Classes before functions."""
    return name[0].islower(), name.lower()


def _exploded(opening: str, parts: Sequence[str], closing: str, *, brackets: tuple[str, str] = ("", "")) -> str:
    """In one line, or where that is too long each part in one of its own. `brackets` are set around these alone."""
    line = f"{opening}{', '.join(parts)}{closing}"
    if len(line) <= _WIDEST:
        return f"{line}\n"
    indent = " " * (len(line) - len(line.lstrip()))
    inner = "".join(f"{indent}    {part},\n" for part in parts)
    return f"{opening}{brackets[0]}\n{inner}{indent}{brackets[1]}{closing}\n"


def _def(name: str, parameters: Sequence[str], returns: str) -> str:
    inner = ", ".join(parameters)
    line = f"def {name}({inner}) -> {returns}:"
    return line if len(line) <= _WIDEST else f"def {name}(\n    {inner}\n) -> {returns}:"


def _union(name: str, parts: Sequence[str]) -> str:
    """A name for any of these types."""
    told = " | ".join(parts)
    if len(f"{name} = {told}") <= _WIDEST:
        return f"{name} = {told}\n"
    if len(told) + 4 <= _WIDEST:
        return f"{name} = (\n    {told}\n)\n"
    return f"{name} = (\n    " + "\n    | ".join(parts) + "\n)\n"


def _told_in_words(some: Sequence[type[Event]]) -> str:
    *others, last = (EVENT_TYPES[event] for event in some)
    return f"{', '.join(others)} and {last}" if others else last
