"""The fields of the contract as values: what each is called, what it holds, and the id under which it is stored."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import inspect


class UnstorableField(TypeError):
    """A field cannot become a column as it is declared. Names the field, and says what to do."""


@dataclass(frozen=True)
class Field:
    """`path` is class and name, as `OrderPlaced.total`; `kind` is the type, without None and without what `Meta` says.

    An optional field may be left out, and is None then. `extra` is what `Meta(extra=...)` says.
    """

    path: str
    name: str
    kind: inspect.Type
    is_optional: bool
    extra: Mapping[str, Any]

    @property
    def field_id(self) -> int:
        """The number that names the field in files, for good: of a field that goes it is never used again."""
        field_id = self.extra.get("field_id")
        if not isinstance(field_id, int):
            raise UnstorableField(
                f'{self.path} has no field id. fix: declare it with Meta(extra={{"field_id": n}}), n being a number '
                "that no field ever had"
            )
        return field_id

    @property
    def is_personal(self) -> bool:
        """Whether it may be a customer's name or address: stored as a token only."""
        return bool(self.extra.get("personal"))

    @property
    def element(self) -> "Field | None":
        """What a list has; None for what is no list."""
        if not isinstance(self.kind, inspect.VarTupleType):
            return None
        return _field(f"{self.path}.element", "element", self.kind.item_type)

    @property
    def parts(self) -> "tuple[Field, ...]":
        """The fields of a struct; nothing for what is none."""
        return fields_of(self.kind.cls) if isinstance(self.kind, inspect.StructType) else ()


def fields_of(struct: type[msgspec.Struct]) -> tuple[Field, ...]:
    """In the order of the class."""
    described = inspect.type_info(struct)
    assert isinstance(described, inspect.StructType)  # noqa: S101 - for the type checker
    return tuple(
        _field(f"{struct.__name__}.{field.name}", field.name, field.type, default=field.default)
        for field in described.fields
    )


def _field(path: str, name: str, kind: inspect.Type, default: object = msgspec.NODEFAULT) -> Field:
    extra: dict[str, Any] = {}
    is_optional = False
    while True:
        match kind:
            case inspect.Metadata():
                extra, kind = {**(kind.extra or {}), **extra}, kind.type
            case inspect.UnionType(types=(inspect.NoneType(), other) | (other, inspect.NoneType())):
                is_optional, kind = default is None, other
            case _:
                return Field(path, name, kind, is_optional, extra)
