"""The settings in use and where each came from, and what a process would refuse to start with. Secrets stay secret."""

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from difflib import SequenceMatcher, get_close_matches
from functools import partial
from pathlib import Path

from analytics.settings import CustomerKeySettings, LakeSettings
from consumers.settings import ConsumerSettings
from consumers.specs import readers
from foundation import aws
from foundation.settings import PREFIX, SettingsError, from_environment, variable
from producers.settings import (
    OrdersApiSettings,
    PublisherSettings,
    TicketQueueSettings,
    TokenSettings,
    TrackerSettings,
)
from takeaway.doctor.facts import Problem, Section, Setting, UnknownVariable
from takeaway.errors import UserError
from takeaway.local import DEFAULT_AWS_PORT, saved_environ
from takeaway.stack import (
    DEFAULT,
    DEFAULT_API_PORT,
    RUNNING,
    TOKEN_KEY_FILE,
    Asked,
    Source,
    Unanswered,
    endpoint_sources,
    merged,
    origins,
    stack_sources,
)

_SETTINGS = (
    PublisherSettings,
    OrdersApiSettings,
    TrackerSettings,
    TicketQueueSettings,
    ConsumerSettings,
    LakeSettings,
    CustomerKeySettings,
)
# What is read by itself, and not as a field of settings.
_OTHERS = ("stack", "backend", "home", "aws_port", "api_port", "consumer", "audit_queue", "python313")
# What is set beside the settings: by us for a process that we start, for other readers of the lake, and for tests.
_NOT_SETTINGS = ("TAKEAWAY_STARTED_FOR", "TAKEAWAY_READERS_", "TAKEAWAY_TEST_")
_ALIKE = 0.8
# A local AWS takes its access key for a password.
_SECRET = ("SECRET", "TOKEN", "PASSWORD", "ACCESS_KEY")


def stack_settings(environ: Mapping[str, str], seconds: float) -> tuple[list[Source], tuple[Problem, ...]]:
    """What the stack adds to `environ`, or why that is not known."""
    try:
        answer = Asked(lambda: stack_sources(environ), seconds).answer()
    except UserError as error:
        return [], (Problem(Section.SETTINGS, error.what, error.fix),)
    if isinstance(answer, Unanswered):
        what = f"the stack's outputs could not be read: {answer.reason}"
        return [], (
            Problem(Section.SETTINGS, what, "look again; or set what `takeaway env` prints where the stack is known"),
        )
    return answer, ()


def unreadable(environ: Mapping[str, str], home: Path) -> tuple[Problem, ...]:
    """What is missing or cannot be read, once each. A local token key is made when it is first needed."""
    values = {**environ, variable("token_key"): environ.get(variable("token_key")) or local_token_key(environ, home)}
    wanted = _SETTINGS if not values[variable("token_key")] else (*_SETTINGS, TokenSettings)
    problems: dict[str, Problem] = {}
    readings: list[Callable[[], object]] = [
        *(partial(from_environment, settings, values) for settings in wanted),
        *(partial(spec.reads, values) for spec in readers().values()),
    ]
    for reading in readings:
        try:
            reading()
        except SettingsError as error:
            problem = as_problem(error)
            problems[problem.what] = problem
    return tuple(problems.values())


def unknown_variables(named: Mapping[str, Mapping[str, str]]) -> tuple[UnknownVariable, ...]:
    """Variables that look like settings of ours and are none, once each; `named` has them by where they are set."""
    known = _known_variables()
    found: dict[str, UnknownVariable] = {}
    for where, variables in named.items():
        for name in sorted(variables):
            # guarantee: a variable that no setting reads is told
            if _looks_like_ours(name) and name not in known and not name.startswith(_NOT_SETTINGS):
                meant = get_close_matches(name.upper(), known, n=1, cutoff=_ALIKE)
                found.setdefault(name, UnknownVariable(name, where, meant[0] if meant else None))
    return tuple(found.values())


def _looks_like_ours(name: str) -> bool:
    """Also with a slip in its first word, or in small letters."""
    first, underscore, rest = name.upper().partition("_")
    return bool(underscore and rest) and SequenceMatcher(None, first + "_", PREFIX).ratio() >= _ALIKE


def _known_variables() -> set[str]:
    fields = {field.name for settings in (*_SETTINGS, TokenSettings) for field in dataclasses.fields(settings)}
    return {variable(field) for field in (*fields, *_OTHERS, *(spec.reads_field for spec in readers().values()))}


def examined_sources(home: Path) -> list[Source]:
    """As every command finds them; but a local AWS that has ended without `takeaway down` is the one to look at."""
    sources = endpoint_sources(home)
    endpoint = home / "endpoint"
    if merged(sources).get("AWS_ENDPOINT_URL") or not endpoint.exists():
        return sources
    return [Source(RUNNING, saved_environ(home)), *sources]


def as_problem(error: SettingsError) -> Problem:
    what, _, fix = str(error).partition(" fix: ")
    return Problem(Section.SETTINGS, what.rstrip("."), fix)


def shown(sources: Sequence[Source], home: Path) -> tuple[Setting, ...]:
    """Every setting in use with its origin."""
    key_file = home / TOKEN_KEY_FILE
    made = Source(str(key_file), {variable("token_key"): local_token_key(merged(sources), home)})
    known = [*sources, made, Source(DEFAULT, _defaults(home))]
    return tuple(
        Setting(name, _shown_value(name, source.values[name]), source.name)
        for name, source in sorted(origins(known).items())
        if name.startswith(("AWS_", PREFIX))
    )


def _shown_value(name: str, value: str) -> str:
    return "set" if any(word in name for word in _SECRET) else shown_url(value)


def _defaults(home: Path) -> dict[str, str]:
    fields = [field for settings in _SETTINGS for field in dataclasses.fields(settings)]
    return {
        **{variable(field.name): _text(field.default) for field in fields if field.default is not dataclasses.MISSING},
        **{variable(spec.reads_field): _text(spec.reads_per_second) for spec in readers().values()},
        variable("home"): str(home),
        variable("aws_port"): str(DEFAULT_AWS_PORT),
        variable("api_port"): str(DEFAULT_API_PORT),
    }


def _text(value: object) -> str:
    """As it would be written in the environment."""
    return f"{value.total_seconds():g}" if isinstance(value, timedelta) else str(value)


def local_token_key(environ: Mapping[str, str], home: Path) -> str:
    path = home / TOKEN_KEY_FILE
    return path.read_text().strip() if aws.reaches_only_local(environ) and path.exists() else ""


def shown_url(url: str) -> str:
    """The address without the password that it may hold."""
    return re.sub(r"//[^/@]*@", "//***@", url)
