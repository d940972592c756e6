from collections.abc import Callable
from typing import Any

_RESOURCE_HANDLERS: dict[str, Any]
_custom_resource_create: Callable[..., Any]
