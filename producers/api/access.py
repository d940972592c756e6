"""Who may come in: reads the bearer token of a request and holds its role against those a route is for."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.types import Guard

from foundation.clock import Clock
from producers.api.problems import Problem
from producers.orders import Admission, Order, Principal, Role, TokenError, TokenKey


@dataclass(frozen=True)
class Doorkeeper:
    """Knows the key and the time."""

    token_key: TokenKey
    clock: Clock

    def admit(self, authorization: str | None, roles: tuple[Role, ...]) -> Admission:
        """Whom an Authorization header stands for; raises a 401 or 403 `Problem`."""
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise _unauthorized("This needs a bearer token.", 'Bearer realm="takeaway"')
        try:
            admitted = self.token_key.verify(token.strip(), self.clock.now())
        except TokenError as error:
            challenge = 'Bearer realm="takeaway", error="invalid_token"'
            raise _unauthorized(f"The token is refused: {error}.", challenge) from error
        if admitted.principal.role not in roles:
            wanted = " or ".join(roles)
            raise Problem(
                "wrong-role",
                HTTPStatus.FORBIDDEN,
                f"This is for the role {wanted}; the token's role is {admitted.principal.role}.",
                f"Send a token of the role {wanted}.",
            )
        return admitted


def only(*roles: Role) -> list[Guard]:
    """The guard of a route for these roles. Guards run before the body is read.

    The handler finds the principal as `request.user`, and until when it is admitted as `request.auth`.
    """

    def guard(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
        doorkeeper: Doorkeeper = connection.app.state.doorkeeper
        admitted = doorkeeper.admit(connection.headers.get("authorization"), roles)
        connection.scope["user"], connection.scope["auth"] = admitted.principal, admitted.until

    return [guard]


def may_see(principal: Principal, order: Order) -> bool:
    """Its customer, its restaurant, and operators."""
    match principal.role:
        case "customer":
            return principal.subject == order.placed.customer_id
        case "restaurant":
            return principal.subject == order.placed.restaurant_id
        case "operator":
            return True


def _unauthorized(detail: str, challenge: str) -> Problem:
    return Problem(
        "unauthorized",
        HTTPStatus.UNAUTHORIZED,
        detail,
        "Send the header `Authorization: Bearer <token>` with a current token. "
        "On a local stack, `takeaway token <your id> --role <role>` prints one.",
        {"WWW-Authenticate": challenge},
    )
