"""The body of a request, taken as the document describes it."""

import re
from typing import Any

import msgspec
from litestar import Request

from producers.api.problems import mismatched, not_json, unreadable

_JSON = "application/json"
# RFC 8259 knows no other, and defines no parameter; many clients send this one.
_IS_UTF8 = re.compile(r'\s*(charset\s*=\s*"?utf-?8"?\s*;?\s*)?', re.IGNORECASE)


def _whole(number: str) -> int | float:
    """2.0 and 2e0 are integers to JSON Schema, which the document is written in."""
    value = float(number)
    return int(value) if value.is_integer() else value


_BODY = msgspec.json.Decoder(float_hook=_whole)


class OrdersRequest(Request[Any, Any, Any]):
    """A request whose body is taken as the document describes it; Litestar's own reading would take "2" for 2."""

    async def json(self) -> Any:
        """The command in the body. Raises a 400 `Problem` that names the byte or the field that is wrong, or a 415."""
        kind, _, parameters = self.headers.get("content-type", _JSON).partition(";")
        if kind.strip().lower() != _JSON or not _IS_UTF8.fullmatch(parameters):
            raise not_json(self.headers["content-type"])
        try:
            said = _BODY.decode(await self.body())
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise unreadable(error, await self.body()) from error
        command = self.route_handler.parsed_data_field
        assert command is not None  # noqa: S101 - only a handler that takes a body reads one
        try:
            return msgspec.convert(said, command.annotation)
        except msgspec.ValidationError as error:
            raise mismatched(error) from error
