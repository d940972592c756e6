"""The way in and out: the first page, sign-in by a link that works once, signing out; and the files that pages load."""

from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from litestar import Request, Response, get, post
from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, URLEncodedBody

from producers.api import Authenticated, Problem
from producers.orders import Principal, Role, TokenError
from producers.pages.frame.admission import same_origin, seen_by, sessions, written_by
from producers.pages.frame.rendering import NO_STORE, Asset, Pages, assets
from producers.pages.frame.sign_in import PAGES, SESSION_LASTS, cookie_of
from producers.pages.marks import RedeemedLinks

Form = URLEncodedBody[dict[str, str]]
# Its address has the digest of its content.
_FOR_EVER = {"Cache-Control": "public, max-age=31536000, immutable"}


@dataclass(frozen=True)
class Entrance:
    """What the way in and out needs: the links that were used, and what is to be done when somebody signs out."""

    redeemed: RedeemedLinks
    leaving: Callable[[Principal], None]
    files: dict[str, Asset] = field(default_factory=assets)


@get("/", sync_to_thread=False)
def first_page(request: Request[Any, Any, Any], pages: NamedDependency[Pages]) -> Response[str]:
    return pages.page(request, "first.html", homes=PAGES, signed_in=sessions(request, tuple(PAGES)))


@get("/sign-in", sync_to_thread=False)
def sign_in_page(request: Request[Any, Any, Any], pages: NamedDependency[Pages]) -> Response[str]:
    """Its script sends what stands behind the # of the link, and takes that out of the address bar first."""
    return pages.page(request, "sign_in.html")


@post("/sign-in", guards=[same_origin], status_code=HTTPStatus.OK, sync_to_thread=True)
def sign_in(
    data: Form, request: Request[Any, Any, Any], pages: NamedDependency[Pages], entrance: NamedDependency[Entrance]
) -> Response[dict[str, str]]:
    now, link = pages.clock.now(), data.get("link", "")
    try:
        admitted = pages.key.of_link(link, now)
    except TokenError as error:
        raise _no_good(f"This sign-in link is refused: {error}.") from error
    if not entrance.redeemed.redeem(link, admitted.until):
        raise _no_good("This sign-in link was used already.")
    who = admitted.principal
    answer = Response({"go": PAGES[who.role]}, headers=NO_STORE)
    answer.set_cookie(_cookie(request, pages.key.session(who, now + SESSION_LASTS), who.role, SESSION_LASTS.seconds))
    return answer


def session_of(role: Role) -> HTTPRouteHandler:
    """Tells a page whose session it is in by now, and that session's CSRF token: another tab may have signed in."""

    @get(f"/session/{role}", guards=seen_by(role), sync_to_thread=False)
    def session(request: Authenticated, pages: NamedDependency[Pages]) -> Response[dict[str, str]]:
        token = pages.key.csrf_token(request.cookies[cookie_of(role)])
        return Response({"subject": request.user.subject, "csrf_token": token}, headers=NO_STORE)

    return session


def sign_out_of(role: Role) -> HTTPRouteHandler:
    """The browser forgets the session. A copy of its cookie is good until it expires, as the API's tokens are."""

    @post(f"/sign-out/{role}", guards=written_by(role), status_code=HTTPStatus.OK, sync_to_thread=True)
    def sign_out(request: Authenticated, entrance: NamedDependency[Entrance]) -> Response[Any]:
        entrance.leaving(request.user)
        answer = Response({"go": "/"}, headers=NO_STORE)
        answer.set_cookie(_cookie(request, "", role, 0))
        return answer

    return sign_out


@get("/assets/{digest:str}/{name:str}", sync_to_thread=False)
def asset(digest: FromPath[str], name: FromPath[str], entrance: NamedDependency[Entrance]) -> Response[bytes]:
    found = entrance.files.get(f"/assets/{digest}/{name}")
    if found is None:
        raise Problem("no-such-file", HTTPStatus.NOT_FOUND, "There is no such file.", "Load the page again.")
    return Response(found.data, media_type=found.media_type, headers=_FOR_EVER)


def _cookie(request: Request[Any, Any, Any], value: str, role: Role, seconds: int) -> Cookie:
    """No script reads it, no other site sends it. `Secure` where there is TLS: of plain HTTP browsers keep none."""
    return Cookie(
        cookie_of(role),
        path="/",
        value=value,
        max_age=seconds,
        secure=request.scope["scheme"] == "https",
        httponly=True,
        samesite="strict",
    )


def _no_good(detail: str) -> Problem:
    return Problem(
        "sign-in-refused",
        HTTPStatus.GONE,
        detail,
        "Links work once, and for fifteen minutes. `takeaway token <your id> --role <role> --link` prints a new one.",
    )


ENTRANCE = (
    first_page,
    sign_in_page,
    sign_in,
    asset,
    *(session_of(role) for role in PAGES),
    *(sign_out_of(role) for role in PAGES),
)
