"""Makes HTML of templates: everything that is not a template's own text is escaped, and each page has its frame."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib import resources
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from litestar import MediaType, Response

from foundation.clock import Clock
from producers.orders import Role
from producers.pages.frame.sign_in import PAGES, SignInKey, cookie_of

NO_STORE = {"Cache-Control": "no-store"}
_TYPES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}


@dataclass(frozen=True)
class Asset:
    """A file that pages load. Its address changes with its content, so a browser may keep it for ever."""

    name: str
    data: bytes

    @property
    def media_type(self) -> str:
        return _TYPES[self.name.rpartition(".")[2]]

    @property
    def path(self) -> str:
        return f"/assets/{hashlib.sha256(self.data).hexdigest()[:16]}/{self.name}"


def assets() -> dict[str, Asset]:
    """Those of the folder `static`, by path."""
    folder = resources.files(__package__) / "static"
    found = [Asset(file.name, file.read_bytes()) for file in folder.iterdir() if file.name.rpartition(".")[2] in _TYPES]
    return {asset.path: asset for asset in found}


@dataclass(frozen=True)
class Pages:
    """Renders the templates of the frame, and those of a room that has a folder `templates` in its `package`."""

    key: SignInKey
    clock: Clock
    package: str = __package__
    filters: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)

    def with_templates(self, package: str, *, filters: Mapping[str, Any], facts: Mapping[str, Any]) -> "Pages":
        """For a room of its own: its templates, and the filters and facts that they go by."""
        return replace(self, package=package, filters=filters, facts=facts)

    def page(self, request: Any, template: str, *, status: int = 200, **facts: Any) -> Response[str]:
        """A whole page, which extends `base.html`, for whom the request is of."""
        return Response(
            self.html(template, **self._about(request), **facts),
            status_code=status,
            media_type=MediaType.HTML,
            headers=NO_STORE,
        )

    def part(self, template: str, **facts: Any) -> Response[str]:
        """A part of a page, which its script puts where it was."""
        return Response(self.html(template, **facts), media_type=MediaType.HTML, headers=NO_STORE)

    def html(self, template: str, **facts: Any) -> str:
        return self._environment.get_template(template).render(**facts)

    def _about(self, request: Any) -> dict[str, Any]:
        """What `base.html` shows on every page. Where nobody is signed in there is no `principal`."""
        principal = request.scope.get("user")
        role: Role | None = principal.role if principal else None
        session = request.cookies.get(cookie_of(role), "") if role else ""
        return {
            "principal": principal,
            "csrf_token": self.key.csrf_token(session) if session else "",
            "home": PAGES[role] if role else "/",
        }

    @cached_property
    def _environment(self) -> Environment:
        environment = Environment(
            loader=ChoiceLoader([PackageLoader(self.package), PackageLoader(__package__)]),
            # guarantee: what people typed is text on a page, whatever it looks like
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.globals["asset"] = {asset.name: asset.path for asset in assets().values()}
        environment.globals.update(self.facts)
        environment.filters.update(self.filters)
        return environment
