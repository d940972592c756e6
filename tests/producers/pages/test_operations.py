"""The operations page: for operators alone, all of a look on it, the flow as a drawing, and one order's journey."""

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from events import arrows
from producers.orders.tokens import Role
from producers.pages.frame import SignInKey
from producers.pages.operations import Operations
from producers.pages.operations.drawing import drawing
from tests.producers.pages.operations_world import ORDER, World, a_look, serving
from tests.support.builders import NOON
from tests.support.worlds.orders_api import KEY, ORIGIN

ADA = ("Ada Lovelace", "ada@example.com")


@pytest.fixture(scope="module")
def world() -> World:
    return World()


@pytest.fixture(scope="module")
def http(world: World) -> Iterator[TestClient[Litestar]]:
    with serving(world) as app, TestClient(app) as client:
        yield client


def sign_in(http: TestClient[Litestar], world: World, role: Role = "operator") -> None:
    http.cookies.clear()
    world.time.advance(1)  # a link works once
    link = SignInKey(KEY).link("someone", role, world.time.now())
    assert http.post("/sign-in", data={"link": link}, headers=ORIGIN).status_code == 200


PATHS = ("/operations", "/operations/look", f"/operations/orders/{ORDER}", f"/operations/orders?order_id={ORDER}")


@pytest.mark.slow
@pytest.mark.parametrize("path", [*PATHS, f"/operations/orders/{ORDER}/journey"])
@pytest.mark.parametrize("role", ["customer", "restaurant", None])
def test_only_operators_see_it(http: TestClient[Litestar], world: World, path: str, role: Role | None) -> None:
    before = world.looks
    if role is None:
        http.cookies.clear()
    else:
        sign_in(http, world, role)
    assert http.get(path).status_code == 401
    assert world.looks == before, "and nothing is gathered for anybody else"


@pytest.mark.slow
@pytest.mark.parametrize("path", PATHS)
def test_it_is_a_whole_page_without_a_script_and_names_no_customer(
    http: TestClient[Litestar], world: World, path: str
) -> None:
    sign_in(http, world)
    answer = http.get(path, headers={"Accept": "text/html"})
    assert answer.status_code == 200
    assert not any(name in answer.text for name in ADA)
    assert " style=" not in answer.text, "the policy allows none"
    assert not re.search(r"\bon[a-z]+=", answer.text)


@pytest.mark.slow
def test_what_a_look_tells_is_on_it(http: TestClient[Litestar], world: World) -> None:
    sign_in(http, world)
    told = http.get("/operations").text
    for words in (
        "user_notifier (pid 4242) is frozen: 73 records unread",
        "✗ user_notifier",
        "1,234 · 0.7/s",
        "12 waiting",
        "<strong>3</strong> placed",
        "Missed deadlines: 12+",
        "restaurant after order_accepted: 37 s of 120 s",
        "shardId-000000000001",
        f'href="/operations/orders/{ORDER}"',
    ):
        assert words in told, words
    assert told.count("<path d=") == len(arrows())


@pytest.mark.slow
def test_what_is_unknown_and_nothing_at_all_are_told_and_text_of_others_is_text(
    http: TestClient[Litestar], world: World
) -> None:
    sign_in(http, world)
    try:
        world.look = Operations(NOON, NOON, unknown=("the orders: no answer within 5 s",))
        told = http.get("/operations/look").text
        assert "Not known: the orders: no answer within 5 s" in told
        assert "no problems" in told
        [row, *_] = a_look().consumers
        evil = replace(row, name="<script>x</script>", order_id='"><script>x</script>')
        world.look = a_look(consumers=(evil,), problems=("<img src=x>",))
        told = http.get("/operations/look").text
        assert "<script>x" not in told
        assert "<img src" not in told
    finally:
        world.look = a_look()


@pytest.mark.slow
def test_an_orders_journey_has_its_events_and_what_comes_next(http: TestClient[Litestar], world: World) -> None:
    sign_in(http, world)
    told = http.get(f"/operations/orders/{ORDER}").text
    assert told.index("order_placed") < told.index("restaurant_notified")
    assert "restaurant tells order_accepted or order_rejected" in told
    unknown = http.get("/operations/orders/nobody", headers={"Accept": "text/html"})
    assert unknown.status_code == 404
    assert "takeaway trace" in unknown.text
    assert http.get("/operations/orders?order_id=").status_code == 404


def test_the_drawing_has_every_arrow_of_the_choreography_and_what_waits_for_whom() -> None:
    drawn = drawing(a_look())
    assert [(one.teller, one.event, one.listener) for one in drawn.arrows] == list(arrows())
    columns = {one.name: one.x for one in drawn.participants}
    assert all((one.x, one.to) == (columns[one.teller], columns[one.listener]) for one in drawn.arrows)
    assert len({one.y for one in drawn.arrows}) == len(drawn.arrows)
    assert max(columns.values()) < drawn.width
    assert max(one.y for one in drawn.arrows) < drawn.height
    waiting = {(one.event, one.listener): one.waiting for one in drawn.arrows}
    assert waiting["order_accepted", "user_notifier"] == 12
    assert waiting["order_completed", "user_notifier"] == 0
    assert waiting["restaurant_notified", "restaurant"] is None, "people have no lag"
    assert {one.listener for one in drawn.arrows if one.is_stuck} == {"user_notifier"}
