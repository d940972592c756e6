"""What every page has: links that work once, sessions, CSRF tokens, and headers that forbid all that is not needed."""

import re
from datetime import timedelta
from typing import Any

import pytest

from producers.api.asgi import SAFETY
from producers.pages.frame.rendering import Pages
from producers.pages.frame.sign_in import LINK_LASTS, PAGES, SESSION_LASTS, SignInKey, link_url
from tests.support.worlds.orders_api import KEY, ORIGIN, OrdersApi

KEYS = SignInKey(KEY)
BROWSER = {"Accept": "text/html,application/xhtml+xml"}


def link(api: OrdersApi, subject: str = "customer-1") -> str:
    return KEYS.link(subject, "customer", api.time.now())


def sign_in(api: OrdersApi, value: str, headers: dict[str, str] = ORIGIN) -> Any:
    return api.http.post("/sign-in", data={"link": value}, headers=headers)


def test_a_link_signs_in_once_and_says_where_to_go(api: OrdersApi) -> None:
    value = link(api)
    first, second = sign_in(api, value), sign_in(api, value)
    assert (first.status_code, first.json()) == (200, {"go": "/customer"})
    assert (second.status_code, second.json()["type"]) == (410, "urn:takeaway:problem:sign-in-refused")
    assert "used already" in second.json()["detail"]


def test_the_cookie_of_a_session_is_for_this_site_alone_and_for_no_script(api: OrdersApi) -> None:
    told = sign_in(api, link(api)).headers["set-cookie"]
    name, *attributes = [part.strip() for part in told.split(";")]
    assert name.startswith("takeaway_customer=")
    assert {one.lower() for one in attributes} == {"httponly", "samesite=strict", "path=/", "max-age=43200"}
    assert SESSION_LASTS.total_seconds() == 43200


def test_a_cookie_over_tls_is_sent_over_tls_alone(api: OrdersApi) -> None:
    answer = api.http.post(
        "https://testserver.local/sign-in", data={"link": link(api)}, headers={"Origin": "https://testserver.local"}
    )
    assert "secure" in answer.headers["set-cookie"].lower()


def test_a_link_that_is_over_signed_elsewhere_or_no_link_is_refused_with_what_to_do(api: OrdersApi) -> None:
    late = link(api)
    api.time.advance(LINK_LASTS.total_seconds())
    session = KEYS.session(KEYS.of_link(link(api), api.time.now()).principal, api.time.now() + timedelta(hours=1))
    bearer = KEY.sign("customer-1", "customer", api.time.now() + timedelta(hours=1))
    for value in (late, session, bearer, "", "nonsense", "a.b", "\u202e.\u202e"):
        refused = sign_in(api, value)
        assert refused.status_code == 410, value
        assert "--link" in refused.json()["fix"]
        assert "set-cookie" not in refused.headers


@pytest.mark.parametrize("headers", [{}, {"Origin": "http://evil.example"}, {"Origin": "null"}])
def test_nobody_is_signed_in_by_a_page_of_another_site(api: OrdersApi, headers: dict[str, str]) -> None:
    value = link(api)
    assert sign_in(api, value, headers).json()["type"] == "urn:takeaway:problem:other-origin"
    assert sign_in(api, value).status_code == 200, "the link is as good as before"


def test_what_is_signed_for_one_purpose_is_good_for_no_other(api: OrdersApi) -> None:
    who = KEYS.of_link(link(api), api.time.now()).principal
    session = KEYS.session(who, api.time.now() + timedelta(hours=1))
    for token in (session, link(api)):
        assert api.http.get("/orders", headers={"Authorization": f"Bearer {token}"}).status_code == 401
    bearer = KEY.sign("customer-1", "customer", api.time.now() + timedelta(hours=1))
    for cookie in (bearer, link(api)):
        api.http.cookies.set("takeaway_customer", cookie)
        assert api.http.get("/session/customer").status_code == 401


def test_a_session_is_of_one_role_and_one_browser_can_have_all(api: OrdersApi) -> None:
    api.signed_in("customer-1", "customer")
    assert api.http.get("/session/restaurant").status_code == 401
    api.http.cookies.set("takeaway_restaurant", api.http.cookies["takeaway_customer"])
    assert api.http.get("/session/restaurant").status_code == 401
    api.http.cookies.delete("takeaway_restaurant")
    api.signed_in("restaurant-1", "restaurant")
    assert api.http.get("/session/customer").json()["subject"] == "customer-1"
    assert api.http.get("/session/restaurant").json()["subject"] == "restaurant-1"
    first = api.http.get("/", headers=BROWSER).text
    assert first.count("Signed in as") == 2


def test_a_session_ends_and_a_browser_is_told_on_a_page_and_a_script_in_json(api: OrdersApi) -> None:
    api.signed_in("customer-1", "customer")
    api.time.advance(SESSION_LASTS.total_seconds())
    script = api.http.get("/session/customer")
    assert (script.status_code, script.headers["content-type"]) == (401, "application/problem+json")
    assert script.json()["detail"] == "Your session is over."
    page = api.http.get("/session/customer", headers=BROWSER)
    assert (page.status_code, page.headers["content-type"]) == (401, "text/html; charset=utf-8")
    assert "Your session is over." in page.text
    assert "takeaway token &lt;your id&gt; --role customer --link" in page.text


@pytest.mark.parametrize(
    ("changed", "kind"),
    [
        ({"X-CSRF-Token": ""}, "wrong-csrf-token"),
        ({"X-CSRF-Token": "0" * 64}, "wrong-csrf-token"),
        ({"X-CSRF-Token": "\u00e9".encode().decode("latin-1")}, "wrong-csrf-token"),
        ({"Origin": "http://evil.example"}, "other-origin"),
        ({"Origin": "https://testserver.local"}, "other-origin"),
    ],
)
def test_a_write_needs_the_token_of_its_session_and_a_page_of_this_site(
    api: OrdersApi, changed: dict[str, str], kind: str
) -> None:
    writes = api.signed_in("customer-1", "customer")
    encoded = {name: value.encode("latin-1") for name, value in (writes | changed).items()}
    refused = api.http.post("/sign-out/customer", headers=encoded)  # type: ignore[arg-type] # httpx takes bytes
    assert (refused.status_code, refused.json()["type"]) == (403, f"urn:takeaway:problem:{kind}")
    assert api.http.post("/sign-out/customer", headers=writes).status_code == 200


def test_a_csrf_token_is_of_one_session(api: OrdersApi) -> None:
    before = api.signed_in("customer-1", "customer")
    api.time.advance(1)
    now = api.signed_in("customer-1", "customer")
    assert before["X-CSRF-Token"] != now["X-CSRF-Token"]
    assert api.http.post("/sign-out/customer", headers=before).status_code == 403
    assert api.http.post("/sign-out/customer", headers=now).json() == {"go": "/"}
    assert api.http.get("/session/customer").status_code == 401


def test_a_session_is_no_token_of_the_api(api: OrdersApi) -> None:
    writes = api.signed_in("customer-1", "customer")
    assert api.http.post("/orders", json=api.body, headers=writes).status_code == 401
    assert api.http.get("/orders", headers=writes).status_code == 401
    assert api.stream() == []


def paths(api: OrdersApi) -> list[str]:
    """An address for each route that there is."""
    examples = {"{order_id:str}": "no-order", "{digest:str}": "0", "{name:str}": "pages.js"}
    found = [route.path_format for route in api.http.app.routes]
    assert len(found) > 12
    return [re.sub(r"\{[^}]*\}", lambda one: examples.get(one[0], "x"), path) for path in found]


@pytest.mark.slow
def test_every_answer_of_every_route_has_the_headers_of_safety(api: OrdersApi) -> None:
    api.signed_in("customer-1", "customer")
    for path in [*paths(api), "/no/such/path"]:
        for method in ("GET", "POST", "HEAD", "DELETE"):
            for accept in ("text/html", "*/*"):
                answer = api.http.request(method, path, headers={"Accept": accept})
                where = (method, path, answer.status_code)
                for name, value in SAFETY.items():
                    assert answer.headers.get_list(name) == [value], where
                kind = answer.headers.get("content-type", "")
                # The page behind /schema is Litestar's, and has nothing of ours.
                if kind.startswith("text/html") and not path.startswith("/schema"):
                    assert answer.headers.get("cache-control") == "no-store", where
                    assert not re.search(r"<script(?![^>]*\bsrc=\"/assets/)|\son\w+=|\sstyle=|javascript:", answer.text)


def test_the_policy_runs_and_loads_what_is_from_here_alone() -> None:
    policy = dict(part.strip().partition(" ")[::2] for part in SAFETY["Content-Security-Policy"].split(";"))
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' data:",
        "connect-src": "'self'",
        "form-action": "'self'",
        "frame-ancestors": "'none'",
        "base-uri": "'none'",
    }


def test_files_have_their_types_are_kept_for_ever_and_change_their_address_with_their_content(api: OrdersApi) -> None:
    page = api.http.get("/").text
    found = set(re.findall(r"/assets/[0-9a-f]{16}/[\w.]+", page))
    types = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}
    assert {path.rpartition(".")[2] for path in found} == types.keys()
    for path in found:
        answer = api.http.get(path)
        assert answer.headers["content-type"] == types[path.rpartition(".")[2]]
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        stale = re.sub("[0-9a-f]{16}", "0" * 16, path)
        assert (api.http.get(stale).status_code, "immutable" in str(api.http.get(stale).headers)) == (404, False)


def test_a_links_value_stands_where_no_server_and_no_referer_gets_it() -> None:
    assert link_url("http://127.0.0.1:8080", "value") == "http://127.0.0.1:8080/sign-in#value"
    assert set(PAGES) == {"customer", "restaurant", "operator"}


def test_what_people_typed_is_text_on_a_page(api: OrdersApi) -> None:
    name = '"><img src=x onerror=alert(1)>'
    api.signed_in(name, "customer")
    page = api.http.get("/", headers=BROWSER).text
    assert "<img src=x" not in page
    assert "&lt;img src=x onerror=alert(1)&gt;" in page
    assert isinstance(
        Pages(KEYS, api.time.clock).html("problem.html", **{"principal": None, "home": "/"} | _PROBLEM), str
    )


_PROBLEM: dict[str, Any] = {"csrf_token": "", "problem": {"title": "", "status": 404, "detail": "", "fix": ""}}
