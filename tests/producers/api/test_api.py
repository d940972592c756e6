"""The orders API over HTTP: who may do what, what is refused and how, and that a repeat is the same event."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from botocore.exceptions import ClientError
from litestar.testing import TestClient

from events.orders import OrderAccepted, OrderCancelled, OrderCompleted, OrderExpired, OrderPlaced, OrderRejected
from events.states import STATES
from producers.api.app import MAX_BODY_BYTES, create_app
from producers.orders.commands import derive_cause, derive_order_id
from producers.orders.diagnostics import AcknowledgementNotNoted, NotPublished, RequestFailed
from producers.orders.tokens import Role, TokenKey
from producers.publishing.publisher import EventPublisher
from tests.support.fakes.kinesis import FakeKinesis
from tests.support.fakes.orders import FakeOrders
from tests.support.worlds.orders_api import KEY, OrdersApi

KEY_1 = {"Idempotency-Key": "key-1"}
ITEM = {"sku": "sku-1", "name": "Margherita", "quantity": 2, "unit_price": 950}
NOT_PLAIN = "has a character that controls a line or its direction"


def service_error(code: str) -> ClientError:
    """As DynamoDB words it: the message may quote the item."""
    return ClientError({"Error": {"Code": code, "Message": "not for Ada Lovelace"}}, "UpdateItem")


def problem(answer: Any, status: int, kind: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body.keys() - {"state"} == {"type", "title", "status", "detail", "fix"}
    assert ("state" in body) == (kind == "wrong-state")
    assert body["type"] == f"urn:takeaway:problem:{kind}"
    assert body["status"] == status
    assert body["fix"]
    return body


def test_placing_answers_after_the_event_is_on_the_stream(api: OrdersApi) -> None:
    answer = api.http.post("/orders", json=api.body, headers=api.customer | {"Idempotency-Key": "key-1"})
    [envelope] = api.stream()
    assert answer.status_code == 201
    assert answer.json() == {
        "order_id": derive_order_id("customer-1", "key-1"),
        "state": "placed",
        "event_id": envelope.event_id,
    }
    assert isinstance(envelope.event, OrderPlaced)
    assert (envelope.event.customer_id, envelope.event.total) == ("customer-1", 1900)
    assert envelope.cause == derive_cause(OrderPlaced, "key-1")
    assert envelope.occurred_at == api.time.now().replace(second=0, microsecond=0)


def test_an_order_goes_all_the_way(api: OrdersApi) -> None:
    order_id = api.placed()
    assert api.command(order_id, "accept", {"ready_in_minutes": 20}).json()["state"] == "accepted"
    assert api.command(order_id, "complete").json()["state"] == "completed"
    assert [type(envelope.event) for envelope in api.stream()] == [OrderPlaced, OrderAccepted, OrderCompleted]


def test_an_order_can_be_turned_down(api: OrdersApi) -> None:
    order_id = api.placed()
    assert api.command(order_id, "reject", {"reason": "too_busy"}).json()["state"] == "rejected"
    assert isinstance(api.stream()[-1].event, OrderRejected)
    assert api.http.get(f"/orders/{order_id}", headers=api.customer).json()["rejection_reason"] == "too_busy"


def test_an_order_can_be_cancelled_by_its_customer_until_it_is_answered(api: OrdersApi) -> None:
    order_id = api.placed()
    path = f"/orders/{order_id}/cancel"
    problem(api.http.post(path, headers=api.token("customer-2", "customer")), 404, "unknown-order")
    problem(api.http.post(path, headers=api.restaurant), 403, "wrong-role")
    answers = [api.http.post(path, headers=api.customer) for _ in range(2)]
    assert answers[0].json()["state"] == "cancelled"
    assert answers[0].json() == answers[1].json()
    late = problem(api.command(order_id, "accept", {"ready_in_minutes": 5}), 409, "wrong-state")
    assert late["detail"] == "To accept an order it has to be placed; this one is cancelled."
    assert late["state"] == "cancelled"
    assert [type(envelope.event) for envelope in api.stream()] == [OrderPlaced, OrderCancelled]
    accepted = api.placed()
    api.command(accepted, "accept", {"ready_in_minutes": 5})
    answered = problem(api.http.post(f"/orders/{accepted}/cancel", headers=api.customer), 409, "wrong-state")
    assert answered["state"] == "accepted"


def test_an_answer_after_accept_by_is_told_that_the_order_has_expired(api: OrdersApi) -> None:
    order_id = api.placed()
    view = api.http.get(f"/orders/{order_id}", headers=api.customer).json()
    assert view["accept_by"] == "2026-03-14T12:10:00Z"
    api.time.advance(601)
    for _ in range(2):
        late = problem(api.command(order_id, "accept", {"ready_in_minutes": 5}), 409, "wrong-state")
        assert late["detail"] == "To accept an order it has to be placed; this one is expired."
        assert late["state"] == "expired"
    assert [type(envelope.event) for envelope in api.stream()] == [OrderPlaced, OrderExpired]
    assert api.http.get(f"/orders/{order_id}", headers=api.customer).json()["state"] == "expired"


def test_an_order_is_seen_by_its_customer_its_restaurant_and_operators_without_its_contact(api: OrdersApi) -> None:
    order_id = api.placed()
    api.command(order_id, "accept", {"ready_in_minutes": 20})
    answers = [
        api.http.get(f"/orders/{order_id}", headers=headers)
        for headers in (api.customer, api.restaurant, api.token("me", "operator"))
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert answers[0].json() == answers[1].json() == answers[2].json()
    assert (answers[0].json()["state"], answers[0].json()["total"]) == ("accepted", 1900)
    assert answers[0].json()["ready_at"]
    assert "Ada" not in answers[0].text
    assert "example.com" not in answers[0].text


def test_somebody_elses_order_looks_like_no_order(api: OrdersApi) -> None:
    order_id = api.placed()
    others = [api.token("customer-2", "customer"), api.token("restaurant-2", "restaurant")]
    real = [api.http.get(f"/orders/{order_id}", headers=headers) for headers in others]
    unreal = api.http.get("/orders/nothing", headers=api.customer)
    assert [problem(answer, 404, "unknown-order") for answer in real] == [problem(unreal, 404, "unknown-order")] * 2


@pytest.mark.parametrize(
    ("name", "body"), [("accept", {"ready_in_minutes": 5}), ("reject", {"reason": "closed"}), ("complete", None)]
)
def test_another_restaurant_cannot_touch_an_order(api: OrdersApi, name: str, body: Any) -> None:
    order_id = api.placed()
    foreign = api.token("restaurant-2", "restaurant")
    problem(api.http.post(f"/orders/{order_id}/{name}", json=body, headers=foreign), 404, "unknown-order")
    problem(api.http.post(f"/orders/unknown/{name}", json=body, headers=foreign), 404, "unknown-order")
    assert len(api.stream()) == 1


@pytest.mark.parametrize(
    ("before", "name", "body"),
    [
        ([], "complete", None),
        ([("reject", {"reason": "closed"})], "accept", {"ready_in_minutes": 5}),
        ([("accept", {"ready_in_minutes": 5})], "reject", {"reason": "closed"}),
        ([("accept", {"ready_in_minutes": 5}), ("complete", None)], "reject", {"reason": "closed"}),
    ],
)
def test_a_command_in_the_wrong_state_conflicts(
    api: OrdersApi, before: list[tuple[str, Any]], name: str, body: Any
) -> None:
    order_id = api.placed()
    for earlier, its_body in before:
        assert api.command(order_id, earlier, its_body).status_code == 200
    problem(api.command(order_id, name, body), 409, "wrong-state")
    assert len(api.stream()) == 1 + len(before)


def test_a_second_acceptance_under_a_key_of_its_own_conflicts(api: OrdersApi) -> None:
    order_id = api.placed()
    api.command(order_id, "accept", {"ready_in_minutes": 5})
    answer = api.command(order_id, "accept", {"ready_in_minutes": 5}, **{"Idempotency-Key": "another"})
    problem(answer, 409, "wrong-state")


def test_repeats_of_each_command_give_the_same_answer_and_no_second_event(api: OrdersApi) -> None:
    key = {"Idempotency-Key": "key-1"}
    placings = [api.http.post("/orders", json=api.body, headers=api.customer | key) for _ in range(2)]
    order_id = placings[0].json()["order_id"]
    answers = [placings]
    for name, body in (("accept", {"ready_in_minutes": 20}), ("complete", None)):
        answers.append([])
        for _ in range(2):
            api.time.advance(60)
            answers[-1].append(api.command(order_id, name, body))
    for first, second in answers:
        assert first.is_success
        assert (first.status_code, first.json()) == (second.status_code, second.json())
    assert [type(envelope.event) for envelope in api.stream()] == [OrderPlaced, OrderAccepted, OrderCompleted]


def test_a_rejection_can_be_repeated(api: OrdersApi) -> None:
    order_id = api.placed()
    first, second = (api.command(order_id, "reject", {"reason": "closed"}) for _ in range(2))
    assert first.json() == second.json()
    assert [type(envelope.event) for envelope in api.stream()] == [OrderPlaced, OrderRejected]


def test_a_placing_repeated_after_the_acceptance_still_answers_as_at_first(api: OrdersApi) -> None:
    key = {"Idempotency-Key": "key-1"}
    first = api.http.post("/orders", json=api.body, headers=api.customer | key)
    api.command(first.json()["order_id"], "accept", {"ready_in_minutes": 5})
    assert api.http.post("/orders", json=api.body, headers=api.customer | key).json() == first.json()


def test_spaces_in_the_json_make_no_other_request(api: OrdersApi) -> None:
    headers = api.customer | {"Idempotency-Key": "key-1"}
    first = api.http.post("/orders", json=api.body, headers=headers)
    spaced = msgspec.json.format(msgspec.json.encode(api.body), indent=4)
    assert api.http.post("/orders", content=spaced, headers=headers).json() == first.json()


def test_a_key_with_another_body_is_refused_with_a_fix(api: OrdersApi) -> None:
    key = {"Idempotency-Key": "key-1"}
    order_id = api.http.post("/orders", json=api.body, headers=api.customer | key).json()["order_id"]
    other = api.http.post("/orders", json=api.body | {"city": "Leiden"}, headers=api.customer | key)
    assert "new Idempotency-Key" in problem(other, 422, "key-reused")["fix"]
    api.command(order_id, "accept", {"ready_in_minutes": 5}, **key)
    problem(api.command(order_id, "accept", {"ready_in_minutes": 6}, **key), 422, "key-reused")
    assert len(api.stream()) == 2


@pytest.mark.parametrize("first_key", [{}, {"Idempotency-Key": "accept"}], ids=["no key", "the name as key"])
def test_a_client_that_sent_no_key_is_told_the_state_and_not_of_a_key(
    api: OrdersApi, first_key: dict[str, str]
) -> None:
    order_id = api.placed()
    assert api.command(order_id, "accept", {"ready_in_minutes": 5}, **first_key).status_code == 200
    refusal = problem(api.command(order_id, "accept", {"ready_in_minutes": 6}), 409, "wrong-state")
    assert refusal["detail"] == "To accept an order it has to be placed; this one is accepted."
    assert len(api.stream()) == 2


def test_one_key_of_two_customers_makes_two_orders(api: OrdersApi) -> None:
    key = {"Idempotency-Key": "key-1"}
    ids = {
        api.http.post("/orders", json=api.body, headers=api.token(customer, "customer") | key).json()["order_id"]
        for customer in ("customer-1", "customer-2")
    }
    assert len(ids) == 2


def test_without_a_key_every_post_is_a_new_order_and_the_key_is_told(api: OrdersApi) -> None:
    first, second = (api.http.post("/orders", json=api.body, headers=api.customer) for _ in range(2))
    assert first.json()["order_id"] != second.json()["order_id"]
    key = {"Idempotency-Key": first.headers["Idempotency-Key"]}
    assert api.http.post("/orders", json=api.body, headers=api.customer | key).json() == first.json()


def test_simultaneous_repeats_make_one_event(api: OrdersApi) -> None:
    order_id = api.placed()
    start = threading.Barrier(8)

    def accept(_: int) -> Any:
        start.wait()
        return api.command(order_id, "accept", {"ready_in_minutes": 5}).json()

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(accept, range(8)))
    assert all(answer == answers[0] for answer in answers)
    assert len({envelope.event_id for envelope in api.stream()}) == 2


@pytest.mark.slow
def test_of_simultaneous_accept_and_reject_one_wins(api: OrdersApi) -> None:
    for _ in range(10):
        order_id = api.placed()
        with ThreadPoolExecutor(2) as pool:
            accept = pool.submit(api.command, order_id, "accept", {"ready_in_minutes": 5})
            reject = pool.submit(api.command, order_id, "reject", {"reason": "closed"})
            assert sorted([accept.result().status_code, reject.result().status_code]) == [200, 409]
        # By id: who loses publishes the winner's event too, if it does not know that it is on the stream.
        assert len({envelope.event_id for envelope in api.stream() if envelope.order_id == order_id}) == 2


@pytest.mark.parametrize("rival", ["reject", "accept"])
def test_a_command_overtaken_between_reading_and_writing_follows_what_is_stored(
    api: OrdersApi, monkeypatch: pytest.MonkeyPatch, rival: str
) -> None:
    """The rival is another command, or a repeat of this one that was a minute earlier."""
    order_id = api.placed()
    advance = api.orders.advance

    def overtaken(*arguments: Any) -> Any:
        monkeypatch.setattr(api.orders, "advance", advance)
        body = {"reason": "closed"} if rival == "reject" else {"ready_in_minutes": 5}
        assert api.command(order_id, rival, body).status_code == 200
        return advance(*arguments)

    monkeypatch.setattr(api.orders, "advance", overtaken)
    answer = api.command(order_id, "accept", {"ready_in_minutes": 5})
    if rival == "reject":
        problem(answer, 409, "wrong-state")
        assert [type(envelope.event) for envelope in api.stream()] == [OrderPlaced, OrderRejected]
    else:
        assert answer.json()["state"] == "accepted"
        assert [type(envelope.event) for envelope in api.stream()] == [OrderPlaced, OrderAccepted]


class TestWhenKinesisIsDown:
    @pytest.mark.slow
    def test_the_customer_is_told_to_repeat_and_the_repeat_works(self, api: OrdersApi) -> None:
        api.kinesis.fail("put_records", "InternalFailure", times=10_000)
        down = api.http.post("/orders", json=api.body, headers=api.customer)
        key = down.headers["Idempotency-Key"]
        assert key in problem(down, 503, "unacknowledged")["fix"]
        assert int(down.headers["Retry-After"]) >= 1
        assert [type(diagnostic) for diagnostic in api.diagnostics].count(NotPublished) == 1
        assert api.stream() == []

        api.kinesis._faults.clear()
        up = api.http.post("/orders", json=api.body, headers=api.customer | {"Idempotency-Key": key})
        assert up.status_code == 201
        assert [envelope.event_id for envelope in api.stream()] == [up.json()["event_id"]]

    @pytest.mark.slow
    def test_a_restaurants_plain_retry_is_enough(self, api: OrdersApi) -> None:
        order_id = api.placed()
        api.kinesis.fail("put_records", "InternalFailure", times=10_000)
        problem(api.command(order_id, "accept", {"ready_in_minutes": 5}), 503, "unacknowledged")
        api.kinesis._faults.clear()
        assert api.command(order_id, "accept", {"ready_in_minutes": 5}).status_code == 200
        assert [type(envelope.event) for envelope in api.stream()] == [OrderPlaced, OrderAccepted]

    @pytest.mark.slow
    def test_what_was_never_acknowledged_is_published_before_what_follows(self, api: OrdersApi) -> None:
        order_id = api.placed()
        api.kinesis.fail("put_records", "InternalFailure", times=10_000)
        problem(api.command(order_id, "accept", {"ready_in_minutes": 5}), 503, "unacknowledged")
        api.kinesis._faults.clear()
        assert api.command(order_id, "complete").json()["state"] == "completed"
        assert [type(envelope.event) for envelope in api.stream()] == [OrderPlaced, OrderAccepted, OrderCompleted]

    @pytest.mark.slow
    @pytest.mark.parametrize(("name", "body"), [("accept", {"ready_in_minutes": 5}), ("reject", {"reason": "closed"})])
    def test_a_placing_that_was_never_acknowledged_is_too(self, api: OrdersApi, name: str, body: Any) -> None:
        api.kinesis.fail("put_records", "InternalFailure", times=10_000)
        problem(api.http.post("/orders", json=api.body, headers=KEY_1 | api.customer), 503, "unacknowledged")
        api.kinesis._faults.clear()
        order_id = derive_order_id("customer-1", "key-1")
        assert api.command(order_id, name, body).status_code == 200
        assert [envelope.event_type for envelope in api.stream()] == ["order_placed", f"order_{name}ed"]

    @pytest.mark.slow
    def test_three_events_that_were_never_acknowledged_come_in_order(self, api: OrdersApi) -> None:
        api.kinesis.fail("put_records", "InternalFailure", times=100_000)
        api.http.post("/orders", json=api.body, headers=KEY_1 | api.customer)
        order_id = derive_order_id("customer-1", "key-1")
        problem(api.command(order_id, "accept", {"ready_in_minutes": 5}), 503, "unacknowledged")
        problem(api.command(order_id, "complete"), 503, "unacknowledged")
        api.kinesis._faults.clear()
        assert api.command(order_id, "complete").status_code == 200
        assert [type(envelope.event) for envelope in api.stream()] == [OrderPlaced, OrderAccepted, OrderCompleted]

    @pytest.mark.slow
    def test_nothing_is_answered_before_all_that_came_earlier_is_acknowledged(self, api: OrdersApi) -> None:
        """Kinesis takes only completions: none may be published, so none is acknowledged."""
        order_id = api.placed()

        def is_acceptance(entry: dict[str, Any]) -> bool:
            return b"order_accepted" in entry["Data"]

        api.kinesis.reject_entries(is_acceptance, times=100_000)
        problem(api.command(order_id, "accept", {"ready_in_minutes": 5}), 503, "unacknowledged")
        problem(api.command(order_id, "complete"), 503, "unacknowledged")
        assert [type(envelope.event) for envelope in api.stream()] == [OrderPlaced]

    @pytest.mark.slow
    def test_a_refusal_that_tells_a_state_comes_after_the_event_that_made_it(self, api: OrdersApi) -> None:
        """A client that takes a new key for each attempt learns that its order is accepted; so must the customer."""
        order_id = api.placed()
        api.kinesis.fail("put_records", "InternalFailure", times=100_000)
        problem(api.command(order_id, "accept", {"ready_in_minutes": 5}), 503, "unacknowledged")
        problem(api.command(order_id, "accept", {"ready_in_minutes": 5}, **KEY_1), 503, "unacknowledged")
        api.kinesis._faults.clear()
        problem(api.command(order_id, "accept", {"ready_in_minutes": 5}, **KEY_1), 409, "wrong-state")
        assert [type(envelope.event) for envelope in api.stream()] == [OrderPlaced, OrderAccepted]

    @pytest.mark.slow
    def test_another_restaurant_publishes_nothing(self, api: OrdersApi) -> None:
        api.kinesis.fail("put_records", "InternalFailure", times=100_000)
        api.http.post("/orders", json=api.body, headers=KEY_1 | api.customer)
        api.kinesis._faults.clear()
        path = f"/orders/{derive_order_id('customer-1', 'key-1')}/complete"
        problem(api.http.post(path, headers=api.token("restaurant-2", "restaurant")), 404, "unknown-order")
        assert api.stream() == []

    def test_an_answer_that_takes_too_long_is_not_waited_for(self, api: OrdersApi) -> None:
        release = threading.Event()

        class Stuck(FakeKinesis):
            def put_records(self, **parameters: Any) -> dict[str, Any]:
                release.wait()
                return super().put_records(**parameters)

        stuck = Stuck(api.time.clock)
        publisher = EventPublisher(
            stuck.client, "orders", clock=api.time.clock, wait=api.time.wait, emit=api.diagnostics.append
        )
        app = create_app(
            FakeOrders(),
            api.tracker.orders(),
            publisher,
            KEY,
            api.time.clock,
            api.diagnostics.append,
            answer_within=timedelta(milliseconds=1),
        )
        with publisher, TestClient(app) as http:
            answer = http.post("/orders", json=api.body, headers=api.customer)
            release.set()
        problem(answer, 503, "unacknowledged")
        assert len(stuck.records()) == 1


def test_a_note_that_fails_is_told_costs_one_more_publication_and_no_answer(
    api: OrdersApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    def throttled(*_: Any) -> None:
        raise service_error("ThrottlingException")

    with monkeypatch.context() as patched:
        patched.setattr(api.orders, "note_acknowledged", throttled)
        order_id = api.placed()
    [told] = api.diagnostics
    assert told == AcknowledgementNotNoted(
        "order_placed", api.stream()[0].event_id, order_id, "ClientError: ThrottlingException"
    )
    assert api.command(order_id, "accept", {"ready_in_minutes": 5}).status_code == 200
    assert api.command(order_id, "complete").status_code == 200
    placed, again, *later = api.kinesis.records()
    assert placed["Data"] == again["Data"]
    assert len(later) == 2


@pytest.mark.parametrize("code", ["AccessDeniedException", "ProvisionedThroughputExceededException"])
def test_a_services_refusal_is_told_by_its_code_and_never_by_its_words(
    api: OrdersApi, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    def refused(*_: Any) -> None:
        raise service_error(code)

    monkeypatch.setattr(api.orders, "create", refused)
    answer = api.http.post("/orders", json=api.body, headers=api.customer)
    problem(answer, 503, "store-unavailable")
    [failed] = api.diagnostics
    assert isinstance(failed, RequestFailed)
    assert failed.error == f"ClientError: {code}"
    assert "Ada" not in repr(failed) + answer.text


def test_a_free_text_key_is_echoed_to_its_client_and_goes_nowhere_else(api: OrdersApi) -> None:
    key = {"Idempotency-Key": "for Grace Hopper, 1 Quay Street"}
    answer = api.http.post("/orders", json=api.body, headers=api.customer | key)
    order_id = answer.json()["order_id"]
    accepted = api.command(order_id, "accept", {"ready_in_minutes": 5}, **key)
    assert answer.headers["Idempotency-Key"] == accepted.headers["Idempotency-Key"] == key["Idempotency-Key"]
    kept = [*api.kinesis.records(), api.orders.get(order_id), api.http.get(f"/orders/{order_id}", headers=api.customer)]
    assert not any("Grace" in repr(each) for each in kept)
    assert api.command(order_id, "accept", {"ready_in_minutes": 5}, **key).json() == accepted.json()


def test_a_store_that_is_down_is_a_503_and_is_emitted(api: OrdersApi) -> None:
    api.orders.fail()
    answer = api.http.post("/orders", json=api.body, headers=api.customer)
    problem(answer, 503, "store-unavailable")
    assert answer.headers["Retry-After"]
    [failed] = [diagnostic for diagnostic in api.diagnostics if isinstance(diagnostic, RequestFailed)]
    assert (failed.method, failed.route, failed.error) == ("POST", "/orders", "EndpointConnectionError")


def test_a_retry_after_a_lost_answer_of_the_store_makes_one_event(api: OrdersApi) -> None:
    headers = api.customer | {"Idempotency-Key": "key-1"}
    api.orders.lose_answer()
    problem(api.http.post("/orders", json=api.body, headers=headers), 503, "store-unavailable")
    api.time.advance(60)
    order_id = api.http.post("/orders", json=api.body, headers=headers).json()["order_id"]
    api.orders.lose_answer()
    problem(api.command(order_id, "accept", {"ready_in_minutes": 5}), 503, "store-unavailable")
    api.time.advance(60)
    assert api.command(order_id, "accept", {"ready_in_minutes": 5}).status_code == 200
    assert [type(envelope.event) for envelope in api.stream()] == [OrderPlaced, OrderAccepted]


def test_a_defect_is_a_500_that_tells_nothing_and_is_emitted(api: OrdersApi, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise ZeroDivisionError("Ada's secret")

    monkeypatch.setattr(api.orders, "create", broken)
    answer = api.http.post("/orders", json=api.body, headers=api.customer)
    problem(answer, 500, "defect")
    assert "secret" not in answer.text
    [failed] = api.diagnostics
    assert isinstance(failed, RequestFailed)
    assert (failed.error, failed.where.split(":")[0]) == ("ZeroDivisionError", "test_api.py")
    assert "secret" not in repr(failed)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"items": []}, "items: "),
        ({"items": [{"sku": "s", "name": "n", "quantity": 0, "unit_price": 1}]}, "items[0].quantity: "),
        ({"items": [{"sku": "s", "name": "n", "quantity": 1, "unit_price": -1}]}, "items[0].unit_price: "),
        ({"items": [{"sku": "s", "name": "n", "quantity": 1, "unit_price": 9.5}]}, "items[0].unit_price: "),
        ({"currency": "euro"}, "currency: "),
        ({"city": None}, "city: "),
        ({"total": 1}, "`total`"),
        ({"restaurant_id": ""}, "restaurant_id: "),
        ({"items": [ITEM | {"note": "NO NUTS"}]}, "items[0]: Object contains unknown field `note`"),
        ({"items": [ITEM, ITEM | {"options": {"size": "XL"}}]}, "items[1]: Object contains unknown field `options`"),
        ({"items": [ITEM | {"quantity": "2"}]}, "items[0].quantity: Expected `int`, got `str`"),
        ({"items": [ITEM | {"unit_price": "100"}]}, "items[0].unit_price: Expected `int`, got `str`"),
        ({"items": [ITEM | {"unit_price": "1e2"}]}, "items[0].unit_price: Expected `int`, got `str`"),
        ({"items": [ITEM | {"quantity": True}]}, "items[0].quantity: Expected `int`, got `bool`"),
        ({"items": [ITEM | {"name": 7}]}, "items[0].name: Expected `str`, got `int`"),
        ({"city": 1}, "city: Expected `str`, got `int`"),
        ({"customer_name": "Ada\n\nYour card is locked"}, f"customer_name: {NOT_PLAIN}"),
        ({"city": "Utrecht\u202e"}, f"city: {NOT_PLAIN}"),
        ({"restaurant_id": "restaurant-1\r"}, f"restaurant_id: {NOT_PLAIN}"),
        ({"items": [ITEM | {"name": "Margherita\u2028"}]}, f"items[0].name: {NOT_PLAIN}"),
        ({"items": [ITEM | {"sku": "\x1b[2J"}]}, f"items[0].sku: {NOT_PLAIN}"),
    ],
)
def test_a_wrong_field_is_named(api: OrdersApi, change: dict[str, Any], told: str) -> None:
    answer = api.http.post("/orders", json=api.body | change, headers=api.customer)
    assert told in problem(answer, 400, "bad-request")["detail"]
    assert api.stream() == []


@pytest.mark.parametrize("two", ["2.0", "2e0", "0.2E1"])
def test_an_integer_may_be_written_as_json_schema_lets_it(api: OrdersApi, two: str) -> None:
    body = msgspec.json.encode(api.body).replace(b'"quantity":2', b'"quantity":' + two.encode())
    assert api.http.post("/orders", content=body, headers=api.customer | KEY_1).status_code == 201
    # The same request, so the same event.
    assert api.http.post("/orders", json=api.body, headers=api.customer | KEY_1).status_code == 201
    assert len({envelope.event_id for envelope in api.stream()}) == 1


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonl",
        "application/msgpack",
        "application/json; charset=utf-16",
        "json",
        "",
    ],
)
def test_a_body_that_says_it_is_something_else_is_415(api: OrdersApi, content_type: str) -> None:
    body = msgspec.json.encode(api.body)
    answer = api.http.post("/orders", content=body, headers=api.customer | {"Content-Type": content_type})
    assert "application/json" in problem(answer, 415, "unsupported-media-type")["fix"]
    assert api.stream() == []


@pytest.mark.parametrize("content_type", [None, "Application/JSON", "application/json;charset=utf-8"])
def test_json_may_say_that_it_is_utf_8_or_nothing_of_itself(api: OrdersApi, content_type: str | None) -> None:
    headers = api.customer if content_type is None else api.customer | {"Content-Type": content_type}
    assert api.http.post("/orders", content=msgspec.json.encode(api.body), headers=headers).status_code == 201


@pytest.mark.parametrize(
    "content", [b"", b"{", b"null", b"[]", b'"text"', b"\xff\xfe", b'{"city": "\\ud800"}', b"[" * 10_000, b"{}"]
)
def test_a_malformed_body_is_refused(api: OrdersApi, content: bytes) -> None:
    problem(api.http.post("/orders", content=content, headers=api.customer), 400, "bad-request")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"{", "body: not JSON: it breaks off after byte 1"),
        (b'{"city": "Utre', "body: not JSON: it breaks off after byte 14"),
        (b'{"city": "Utrecht",', "body: not JSON: it breaks off after byte 19"),
        (b"city=Utrecht", "body: not JSON: invalid character, near byte 1 of 12"),
        (b'{"city": 1,}', "body: not JSON: trailing comma in object, near byte 12 of 12"),
        (b"{}x", "body: not JSON: trailing characters, near byte 3 of 3"),
        (b'{"city": "Utr\xff"}', "body: not JSON: not UTF-8, at byte 14 of 16"),
        (b'{"city": 1e999999}', "city: Expected `str`, got `float`"),
    ],
)
def test_a_body_that_is_not_json_is_told_where_it_stops_being_so(api: OrdersApi, content: bytes, told: str) -> None:
    answer = api.http.post("/orders", content=content, headers=api.customer)
    assert problem(answer, 400, "bad-request")["detail"] == told
    assert api.diagnostics == []


def test_a_truncated_body_of_unknown_length_is_told_where_it_breaks_off(api: OrdersApi) -> None:
    content = msgspec.json.encode(api.body)[:100]
    answer = api.http.post("/orders", content=iter([content[:50], content[50:]]), headers=api.customer)
    assert problem(answer, 400, "bad-request")["detail"] == "body: not JSON: it breaks off after byte 100"


@pytest.mark.parametrize("address", ["nobody", "", "@", "a@b@c", "ada @example.com", "j\u00f6rg@example.com"])
def test_a_bad_address_is_called_one(api: OrdersApi, address: str) -> None:
    answer = api.http.post("/orders", json=api.body | {"customer_email": address}, headers=api.customer)
    told = "customer_email: not an e-mail address that mail can carry: one address in ASCII, as in ada@example.com"
    assert problem(answer, 400, "bad-request")["detail"] == told
    assert api.stream() == []


def test_a_bad_currency_is_told_without_a_pattern(api: OrdersApi) -> None:
    answer = api.http.post("/orders", json=api.body | {"currency": "eur"}, headers=api.customer)
    detail = problem(answer, 400, "bad-request")["detail"]
    assert detail == "currency: not a currency's code of three capital letters, as in EUR"


@pytest.mark.parametrize("name", ["../../etc/passwd", "Europe/Amsterd\u00e4m", "Mars/Olympus"])
def test_a_time_zone_that_is_none_is_called_one(api: OrdersApi, name: str) -> None:
    answer = api.http.post("/orders", json=api.body | {"time_zone": name}, headers=api.customer)
    told = "time_zone: Expected the name of a time zone, as Europe/Amsterdam"
    assert problem(answer, 400, "bad-request")["detail"] == told


@pytest.mark.parametrize(
    ("request_", "named"),
    [
        (("GET", "/orders?state=lost", {}), "state: "),
        (("GET", "/orders?limit=0", {}), "limit: "),
        (("GET", "/orders/order-1/events", {"Last-Event-ID": "x" * 129}), "Last-Event-ID: "),
        (("POST", "/orders/order-1/cancel", {"Idempotency-Key": "x" * 129}), "Idempotency-Key: "),
    ],
)
def test_a_wrong_parameter_is_named_as_the_document_names_it(
    api: OrdersApi, request_: tuple[str, str, dict[str, str]], named: str
) -> None:
    method, path, headers = request_
    answer = api.http.request(method, path, headers=headers | api.customer)
    assert problem(answer, 400, "bad-request")["detail"].startswith(named)


def test_a_body_has_a_size_limit(api: OrdersApi) -> None:
    body = msgspec.json.encode(api.body | {"city": "x" * MAX_BODY_BYTES})
    problem(api.http.post("/orders", content=body, headers=api.customer), 413, "request-entity-too-large")


def chunks() -> Iterator[bytes]:
    yield from [b"x" * 1024] * 1024


def test_a_body_of_unknown_length_has_it_too(api: OrdersApi) -> None:
    answer = api.http.post("/orders", content=chunks(), headers=api.customer)
    problem(answer, 413, "request-entity-too-large")


@pytest.mark.parametrize("key", ["", "k" * 129])
def test_an_idempotency_key_has_1_to_128_characters(api: OrdersApi, key: str) -> None:
    answer = api.http.post("/orders", json=api.body, headers=api.customer | {"Idempotency-Key": key})
    problem(answer, 400, "bad-request")


@pytest.mark.parametrize("ready_in_minutes", [0, -5, 1441, "soon", None, 1.5])
def test_a_promise_is_in_whole_minutes_of_a_day(api: OrdersApi, ready_in_minutes: Any) -> None:
    answer = api.command(api.placed(), "accept", {"ready_in_minutes": ready_in_minutes})
    assert "ready_in_minutes" in problem(answer, 400, "bad-request")["detail"]


def test_a_reason_is_one_of_the_codes(api: OrdersApi) -> None:
    assert "reason" in problem(api.command(api.placed(), "reject", {"reason": "rude"}), 400, "bad-request")["detail"]


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic abc", "Bearer garbage", "Bearer a.b", "ö"])
def test_no_token_or_garbage_is_401_before_the_body_is_read(api: OrdersApi, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header.encode("latin-1")}
    answer = api.http.post("/orders", content=b"{", headers=headers)  # type: ignore[arg-type]
    fix = problem(answer, 401, "unauthorized")["fix"]
    assert "`takeaway token <your id> --role <role>`" in fix
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_an_expired_token_is_401(api: OrdersApi) -> None:
    expired = api.token("customer-1", "customer", lasts=timedelta(0))
    answer = api.http.post("/orders", json=api.body, headers=expired)
    assert "expired" in problem(answer, 401, "unauthorized")["detail"]
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


def test_a_token_of_another_key_is_401(api: OrdersApi) -> None:
    token = TokenKey(b"x" * 32).sign("customer-1", "customer", api.time.now() + timedelta(hours=1))
    problem(api.http.post("/orders", json=api.body, headers={"Authorization": f"Bearer {token}"}), 401, "unauthorized")


def test_each_role_has_its_commands(api: OrdersApi) -> None:
    order_id = api.placed()
    for headers in (api.restaurant, api.token("me", "operator")):
        problem(api.http.post("/orders", json=api.body, headers=headers), 403, "wrong-role")
    for headers in (api.customer, api.token("restaurant-1", "operator")):
        problem(api.http.post(f"/orders/{order_id}/complete", headers=headers), 403, "wrong-role")


def test_the_callers_trace_is_continued_and_a_bad_one_is_not(api: OrdersApi) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    for sent in (f"00-{trace}-b7ad6b7169203331-01", "00-nonsense-01"):
        api.http.post("/orders", json=api.body, headers=api.customer | {"traceparent": sent})
    continued, own = api.stream()
    assert continued.traceparent.split("-")[1] == trace
    assert own.traceparent.split("-")[1] != trace


@pytest.mark.parametrize("invalid", [f"00-{'0' * 32}-b7ad6b7169203331-01", f"00-{'a' * 32}-{'0' * 16}-01"])
def test_a_trace_of_nothing_but_zeros_is_none(api: OrdersApi, invalid: str) -> None:
    api.http.post("/orders", json=api.body, headers=api.customer | {"traceparent": invalid})
    api.http.post("/orders", json=api.body, headers=api.customer | {"traceparent": invalid})
    traces = {envelope.traceparent.split("-")[1] for envelope in api.stream()}
    assert len(traces) == 2
    assert traces.isdisjoint({"0" * 32, "a" * 32})


@pytest.mark.parametrize(
    "path",
    ["/health", "/orders/{placed}", "/orders/nothing", "/schema/openapi.json", "/orders"],
)
def test_head_answers_as_get_does_without_the_body(api: OrdersApi, path: str) -> None:
    path = path.format(placed=api.placed())
    for headers in (api.customer, {}):
        told, asked = (api.http.request(method, path, headers=headers) for method in ("GET", "HEAD"))
        assert (asked.status_code, asked.headers) == (told.status_code, told.headers)
        assert int(asked.headers["Content-Length"]) == len(told.content) > 0
        assert asked.content == b""


def test_health_follows_the_publisher(api: OrdersApi) -> None:
    assert api.http.get("/health").json() == {"status": "ok"}
    api.publisher.close()
    problem(api.http.get("/health"), 503, "publisher-stopped")


def test_a_closed_publisher_is_no_defect_and_the_command_is_repeated_elsewhere(api: OrdersApi) -> None:
    order_id = api.placed()
    api.publisher.close()
    for answer in (
        api.http.post("/orders", json=api.body, headers=api.customer | KEY_1),
        api.command(order_id, "reject", {"reason": "closed"}, **KEY_1),
    ):
        problem(answer, 503, "unacknowledged")
        assert "Idempotency-Key: " in answer.json()["fix"]
        assert answer.headers["Retry-After"]
    assert [told.event_type for told in api.diagnostics if isinstance(told, NotPublished)] == [
        "order_placed",
        "order_rejected",
    ]


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nowhere", 404), ("DELETE", "/orders", 405)])
def test_the_frameworks_errors_are_problems_too(api: OrdersApi, method: str, path: str, status: int) -> None:
    answer = api.http.request(method, path)
    assert answer.status_code == status
    assert answer.json()["fix"]


def test_the_document_names_every_route_and_its_bodies(api: OrdersApi) -> None:
    document = api.http.get("/schema/openapi.json").json()
    assert document["info"]["title"] == "takeaway orders"
    assert document["paths"].keys() == {
        "/orders",
        "/orders/{order_id}",
        "/orders/{order_id}/accept",
        "/orders/{order_id}/reject",
        "/orders/{order_id}/complete",
        "/orders/{order_id}/cancel",
        "/orders/{order_id}/events",
        "/health",
    }
    assert {"PlaceOrder", "AcceptOrder", "RejectOrder", "OrderView"} <= document["components"]["schemas"].keys()


# Of each operation: its owner, a good body and another good one. What it may refuse with is for `refusals` to find out.
OPERATIONS: dict[tuple[str, str], tuple[Role, list[dict[str, Any]]]] = {
    ("/orders", "post"): ("customer", [{}, {"city": "Leiden"}]),
    ("/orders", "get"): ("operator", [{}, {"any": "thing"}]),
    ("/orders/{order_id}", "get"): ("customer", [{}, {"any": "thing"}]),
    ("/orders/{order_id}/events", "get"): ("customer", [{}, {"any": "thing"}]),
    ("/orders/{order_id}/accept", "post"): ("restaurant", [{"ready_in_minutes": 5}, {"ready_in_minutes": 6}]),
    ("/orders/{order_id}/reject", "post"): ("restaurant", [{"reason": "closed"}, {"reason": "other"}]),
    ("/orders/{order_id}/complete", "post"): ("restaurant", [{}, {"any": "thing"}]),
    ("/orders/{order_id}/cancel", "post"): ("customer", [{}, {"any": "thing"}]),
    ("/health", "get"): ("operator", [{}, {"any": "thing"}]),
}
SUMMARIES = {
    ("/orders", "post"): "Place an order",
    ("/orders", "get"): "List orders: a customer's or a restaurant's own, or for an operator all",
    ("/orders/{order_id}", "get"): "See an order",
    ("/orders/{order_id}/events", "get"): "Follow an order",
    ("/orders/{order_id}/accept", "post"): "Accept an order",
    ("/orders/{order_id}/reject", "post"): "Reject an order",
    ("/orders/{order_id}/complete", "post"): "Complete an order",
    ("/orders/{order_id}/cancel", "post"): "Cancel an order that no restaurant has answered",
    ("/health", "get"): "Whether this process can publish",
}


def odd_questions(ask: Callable[..., Any]) -> Iterator[Any]:
    for odd in ("limit=0", "limit=many", "limit=101", "state=lost", "cursor=nonsense", "cursor="):
        yield ask("nothing", asked=f"?{odd}")


def refusals(api: OrdersApi, path: str, method: str) -> Iterator[Any]:
    """The same mischief for every operation, whether or not it cares; what is no refusal is left out."""
    owner, bodies = OPERATIONS[path, method]
    good, other = ((api.body if path == "/orders" else {}) | body for body in bodies)
    subjects: dict[Role, str] = {"customer": "customer-1", "restaurant": "restaurant-1", "operator": "me"}
    mine = api.token(subjects[owner], owner)

    def ask(
        order_id: str,
        headers: dict[str, str] | None = None,
        body: bytes = msgspec.json.encode(good),
        asked: str = "",
    ) -> Any:
        url = path.format(order_id=order_id) + asked
        return api.http.request(method, url, content=body, headers=mine | (headers or {}))

    def answers() -> Iterator[Any]:
        yield ask(api.placed(), {"Authorization": ""})
        for role, subject in subjects.items():
            yield ask(api.placed(), api.token(subject, role))
            yield ask(api.placed(), api.token("somebody-else", role))
        yield ask("nothing")
        yield ask("o" * 129)
        yield from odd_questions(ask)
        yield ask(api.placed(), {"Idempotency-Key": "k" * 129})
        for malformed in (b"", b"{", b"[]", b"\xff", b'{"city": "\xff"}', b"[" * 10_000, b" " * (MAX_BODY_BYTES + 1)):
            yield ask(api.placed(), body=malformed)
        for before in ([], [("reject", {"reason": "closed"})], [("accept", {"ready_in_minutes": 5}), ("complete", {})]):
            order_id = api.placed()
            for name, its_body in before:
                assert api.command(order_id, name, its_body, **{"Idempotency-Key": "before"}).status_code == 200
            yield ask(order_id)
        order_id = api.placed()
        if path.endswith("/complete"):
            api.command(order_id, "accept", {"ready_in_minutes": 5})
        for body in (good, other):
            yield ask(order_id, KEY_1, msgspec.json.encode(body))
        yield ask(api.placed(), {"Content-Type": "text/plain"})
        order_id = api.placed()
        api.orders.fail()
        yield ask(order_id)
        api.orders._faults.clear()
        api.tracker.unread = True
        yield ask(order_id)
        api.tracker.unread = False
        order_id = api.placed()
        if path == "/health":
            api.publisher.close()
        api.kinesis.fail("put_records", "InternalFailure", times=10_000)
        yield ask(order_id)

    return (answer for answer in answers() if answer.is_error)


@pytest.mark.slow
@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_the_document_lists_exactly_the_problems_an_operation_answers_with(
    api: OrdersApi, path: str, method: str
) -> None:
    document = api.http.get("/schema/openapi.json").json()
    responses = document["paths"][path][method]["responses"]
    listed = {status: response for status, response in responses.items() if int(status) >= 400}
    provoked = list(refusals(api, path, method))
    # A slow body needs a real connection: test_serving.py.
    assert listed.keys() - {"408"} == {str(answer.status_code) for answer in provoked}
    for answer in provoked:
        assert listed[str(answer.status_code)]["content"].keys() == {answer.headers["content-type"]}
        described = document["components"]["schemas"]["ProblemBody"]
        assert {*described["required"]} <= answer.json().keys() <= described["properties"].keys()
    for response in listed.values():
        assert response["description"] != "Additional response"
        assert response["content"] == {
            "application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemBody"}}
        }


def test_the_document_has_every_operation_under_a_plain_summary(api: OrdersApi) -> None:
    paths = api.http.get("/schema/openapi.json").json()["paths"]
    assert {(path, method) for path, methods in paths.items() for method in methods} == OPERATIONS.keys()
    assert {(path, method): paths[path][method]["summary"] for path, method in OPERATIONS} == SUMMARIES


def test_the_document_describes_a_problem(api: OrdersApi) -> None:
    schema = api.http.get("/schema/openapi.json").json()["components"]["schemas"]["ProblemBody"]
    assert {name: of["type"] for name, of in schema["properties"].items()} == {
        "type": "string",
        "title": "string",
        "status": "integer",
        "detail": "string",
        "fix": "string",
        "state": ["null", "string"],
    }
    assert set(schema["required"]) == schema["properties"].keys() - {"state"}
    assert {*schema["properties"]["state"]["enum"]} - {None} == {*STATES}


def test_the_document_tells_which_operations_take_an_idempotency_key(api: OrdersApi) -> None:
    paths = api.http.get("/schema/openapi.json").json()["paths"]
    for path, method in OPERATIONS:
        parameters = paths[path][method].get("parameters", [])
        keys = [parameter for parameter in parameters if parameter["name"] == "Idempotency-Key"]
        assert len(keys) == (method == "post")
        for key in keys:
            assert (key["in"], key["required"]) == ("header", False)
            assert (key["schema"]["minLength"], key["schema"]["maxLength"]) == (1, 128)
            assert "Repeats" in key["description"]


def test_the_document_asks_a_token_of_everything_but_health(api: OrdersApi) -> None:
    document = api.http.get("/schema/openapi.json").json()
    for path, method in OPERATIONS:
        wanted = document["paths"][path][method].get("security", document["security"])
        assert wanted == ([{}] if path == "/health" else [{"token": []}])


def test_the_document_says_what_an_item_is(api: OrdersApi) -> None:
    schemas = api.http.get("/schema/openapi.json").json()["components"]["schemas"]
    for of, item in (("PlaceOrder", "OrderItem"), ("OrderView", "Item")):
        assert schemas[of]["properties"]["items"]["items"] == {"$ref": f"#/components/schemas/{item}"}
    limits = schemas["PlaceOrder"]["properties"]["items"]
    assert (limits["minItems"], limits["maxItems"]) == (1, 200)


def test_the_document_closes_whatever_is_sent(api: OrdersApi) -> None:
    """Answers stay open: a client of today reads what tomorrow adds."""
    schemas = api.http.get("/schema/openapi.json").json()["components"]["schemas"]
    closed = {name for name, schema in schemas.items() if schema.get("additionalProperties") is False}
    assert closed == {"PlaceOrder", "OrderItem", "AcceptOrder", "RejectOrder"}


def test_the_document_names_the_headers_of_a_success(api: OrdersApi) -> None:
    paths = api.http.get("/schema/openapi.json").json()["paths"]
    for path, method in OPERATIONS:
        ((_, success),) = [(s, r) for s, r in paths[path][method]["responses"].items() if s in {"200", "201"}]
        assert success["headers"].keys() == ({"Idempotency-Key"} if method == "post" else set())
    answer = api.http.post("/orders", json=api.body, headers=api.customer)
    assert answer.headers.get_list("Idempotency-Key") == [answer.headers["Idempotency-Key"]]
    assert len(answer.headers["Idempotency-Key"]) == 32


@pytest.mark.slow
def test_no_diagnostic_holds_a_customers_data(api: OrdersApi) -> None:
    api.kinesis.fail("put_records", "InternalFailure", times=10_000)
    api.http.post("/orders", json=api.body, headers=api.customer)
    assert len(api.diagnostics) > 2
    assert not any("Ada" in repr(told) or "example.com" in repr(told) for told in api.diagnostics)
