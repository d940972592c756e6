"""Settings are frozen dataclasses filled from environment variables: field `stream` is `TAKEAWAY_STREAM`."""

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

PREFIX = "TAKEAWAY_"
SettingsT = TypeVar("SettingsT")


class SettingsError(ValueError):
    """A setting that is missing or cannot be read. Says which variable, what is wrong and what to do."""


def variable(field: str) -> str:
    """The environment variable of a settings field."""
    return PREFIX + field.upper()


def from_environment(settings: type[SettingsT], environ: Mapping[str, str]) -> SettingsT:
    """An instance of the dataclass `settings`, converted from text by its annotations; empty text counts as unset."""
    values: dict[str, Any] = {}
    for field in dataclasses.fields(settings):  # type: ignore[arg-type]
        text = environ.get(variable(field.name), "")
        if text:
            values[field.name] = _converted(field.name, field.type, text)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise SettingsError(
                f"{variable(field.name)} is not set. "
                "fix: `takeaway deploy` prints the settings of a stack; `takeaway` commands find them by themselves"
            )
    return settings(**values)


def setting(field: str, kind: type[SettingsT], environ: Mapping[str, str], *, default: SettingsT) -> SettingsT:
    """One value that stands by itself; empty text counts as unset."""
    text = environ.get(variable(field), "")
    value: SettingsT = _converted(field, kind, text) if text else default
    return value


def _converted(field: str, kind: Any, text: str) -> Any:
    try:
        return msgspec.convert(text, kind, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{variable(field)}: {error}. fix: set it to a value of that kind, or unset it") from error
