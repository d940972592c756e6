"""How pages are served: beside the orders API, their errors as pages for people and as problems for scripts."""

from collections.abc import Callable, Sequence
from typing import Any

from litestar import Request, Response, Router
from litestar.di import Provide
from litestar.handlers import HTTPRouteHandler
from litestar.types import ExceptionHandlersMap

from foundation.diagnostics import Emit
from producers.api import ProblemBody, exception_handlers
from producers.api.app import Addition
from producers.orders import Principal
from producers.pages.frame.entrance import ENTRANCE, Entrance
from producers.pages.frame.rendering import NO_STORE, Pages
from producers.pages.marks import RedeemedLinks


def _nothing(_: Principal) -> None:
    """Where leaving is nothing to anybody."""


def frame(
    pages: Pages, redeemed: RedeemedLinks, emit: Emit, *, leaving: Callable[[Principal], None] = _nothing
) -> Addition:
    """The way in and out, and what the guards of all pages need. `leaving` is told who signs out."""
    return Addition(
        (page_routes(ENTRANCE, pages, emit),),
        dependencies={"entrance": Entrance(redeemed, leaving)},
        state={"pages": pages},
    )


def page_routes(handlers: Sequence[HTTPRouteHandler], pages: Pages, emit: Emit) -> Router:
    """Routes of pages, none of which is in the API's document; their handlers are given these `pages`."""
    return Router(
        "/",
        dependencies={"pages": Provide(lambda: pages, sync_to_thread=False)},
        route_handlers=list(handlers),
        include_in_schema=False,
        exception_handlers=_for_people(exception_handlers(emit), pages),
    )


def _for_people(handlers: ExceptionHandlersMap, pages: Pages) -> ExceptionHandlersMap:
    """What a browser opens is answered with a page, what a page's script asks for with the API's problem JSON."""

    def shown(handler: Any) -> Any:
        def answer(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
            response: Response[ProblemBody] = handler(request, error)
            if "text/html" not in request.headers.get("accept", ""):
                response.headers.update(NO_STORE)
                return response
            page = pages.page(request, "problem.html", status=response.content.status, problem=response.content)
            page.headers.update(dict(response.headers))
            return page

        return answer

    return {kind: shown(handler) for kind, handler in handlers.items()}
