"""The guards of pages: a session for what is seen, and for what is written also the proof that a page of ours asks."""

import hmac
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.types import Guard

from producers.api import Problem
from producers.orders import Role, TokenError
from producers.pages.frame.rendering import Pages
from producers.pages.frame.sign_in import cookie_of

CSRF_HEADER = "x-csrf-token"
Connection = ASGIConnection[Any, Any, Any, Any]


def seen_by(role: Role) -> list[Guard]:
    """The guard of a page of this role: its session's cookie, and no bearer token.

    The handler finds the principal as `request.user`, and until when the session lasts as `request.auth`.
    """

    def guard(connection: Connection, _: BaseRouteHandler) -> None:
        _admit(connection, role)

    return [guard]


def written_by(role: Role) -> list[Guard]:
    """The guard of what a page of this role sends: as for reading it, and a page of ours sends it."""

    def guard(connection: Connection, _: BaseRouteHandler) -> None:
        same_origin(connection, _)
        session = _admit(connection, role)
        told = connection.headers.get(CSRF_HEADER, "")
        # guarantee: a write from a page needs the CSRF token of its session
        if not hmac.compare_digest(told.encode(), _pages(connection).key.csrf_token(session).encode()):
            raise Problem(
                "wrong-csrf-token",
                HTTPStatus.FORBIDDEN,
                "This page was opened in another session than the present one.",
                "Load the page again, and repeat what you did.",
            )

    return [guard]


def same_origin(connection: Connection, _: BaseRouteHandler) -> None:
    """A guard: a browser says of every write which site's page sends it."""
    own = f"{connection.scope['scheme']}://{connection.headers.get('host', '')}"
    # guarantee: no page of another site writes here
    if connection.headers.get("origin") != own:
        raise Problem(
            "other-origin",
            HTTPStatus.FORBIDDEN,
            "A page of another site sent this, or what sent it is no browser.",
            "Use the pages of this site; a program uses the orders API with a bearer token.",
        )


def _admit(connection: Connection, role: Role) -> str:
    """The session that this request is of. Raises a 401 `Problem`."""
    pages, session = _pages(connection), connection.cookies.get(cookie_of(role), "")
    try:
        admitted = pages.key.of_session(session, pages.clock.now())
    except TokenError as error:
        raise not_signed_in(role, is_over=bool(session)) from error
    if admitted.principal.role != role:
        raise not_signed_in(role, is_over=False)
    connection.scope["user"], connection.scope["auth"] = admitted.principal, admitted.until
    return session


_A: dict[Role, str] = {"customer": "a customer", "restaurant": "a restaurant", "operator": "an operator"}


def not_signed_in(role: Role, *, is_over: bool) -> Problem:
    return Problem(
        "not-signed-in",
        HTTPStatus.UNAUTHORIZED,
        "Your session is over." if is_over else f"This page is for {_A[role]}, and you are not signed in as one.",
        f"Get a new sign-in link with `takeaway token <your id> --role {role} --link`, and open it in this browser.",
    )


def sessions(connection: Connection, roles: Sequence[Role]) -> dict[Role, str]:
    """The subjects that this browser is signed in as, by role."""
    pages, found = _pages(connection), dict[Role, str]()
    for role in roles:
        try:
            admitted = pages.key.of_session(connection.cookies.get(cookie_of(role), ""), pages.clock.now())
        except TokenError:
            continue
        found[role] = admitted.principal.subject
    return found


def _pages(connection: Connection) -> Pages:
    pages: Pages = connection.app.state.pages
    return pages
