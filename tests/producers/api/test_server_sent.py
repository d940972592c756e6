"""An order as server-sent events, and where a client goes on that comes back; pure."""

import json

import msgspec
import pytest

from events.timeline import SeenEvent, seen
from producers.api.server_sent import Why, end, is_over, told
from producers.tracking import TrackedOrder
from tests.events.test_timeline import ACCEPTED, COMPLETED, NOTIFIED, PLACED, TOLD, TOLD_READY, at, places


def an_order(*events: SeenEvent, version: int = 1) -> TrackedOrder:
    return TrackedOrder("order-1", seen(events), version)


def types(parts: list[bytes]) -> list[str]:
    return [json.loads(part.partition(b"data: ")[2])["event_type"] for part in parts]


def id_of(part: bytes) -> str:
    name, _, value = part.partition(b"\n")[0].partition(b": ")
    assert name == b"id"
    return value.decode()


def test_an_event_is_told_by_its_id_its_type_and_the_state_and_by_nothing_else() -> None:
    [placed], _ = told(an_order(at(1, PLACED), version=3), None)
    first, second, *rest = placed.split(b"\n")
    assert first.startswith(b"id: 1-")
    assert json.loads(second.removeprefix(b"data: ")) == {
        "event_id": PLACED.event_id,
        "event_type": "order_placed",
        "state": "placed",
        "version": 3,
    }
    assert rest == [b"", b""]


def test_a_client_that_comes_back_is_told_what_it_has_missed() -> None:
    first, last = told(an_order(*places(PLACED, NOTIFIED)), None)
    assert types(first) == ["order_placed", "restaurant_notified"]
    assert last == id_of(first[-1])
    whole = an_order(*places(PLACED, NOTIFIED, ACCEPTED))
    assert types(told(whole, last)[0]) == ["order_accepted"]
    assert types(told(whole, id_of(first[0]))[0]) == ["restaurant_notified", "order_accepted"]
    assert told(whole, told(whole, None)[1]) == ([], told(whole, None)[1])


def test_what_was_seen_later_and_lies_before_is_not_missed() -> None:
    _, last = told(an_order(at(1, PLACED), at(3, ACCEPTED)), None)
    parts, _ = told(an_order(*places(PLACED, NOTIFIED, ACCEPTED)), last)
    assert types(parts) == ["order_placed", "restaurant_notified", "order_accepted"]


@pytest.mark.parametrize("after", ["", "nonsense", "9-00", "1-0000000000000000"])
def test_one_with_an_id_of_no_stream_is_told_all(after: str) -> None:
    assert types(told(an_order(at(1, PLACED)), after)[0]) == ["order_placed"]


def test_an_order_that_was_not_seen_yet_tells_nothing_and_keeps_the_place() -> None:
    assert told(TrackedOrder("order-1"), None) == ([], None)
    assert told(TrackedOrder("order-1"), "1-ab") == ([], "1-ab")


def test_an_events_own_id_breaks_no_line() -> None:
    odd = msgspec.structs.replace(at(1, PLACED), event_id='x"\n\ndata: {"state": "completed"}\r\nid: y')
    [part], _ = told(an_order(odd), None)
    assert part.count(b"\n") == 3
    assert b"\r" not in part


def test_an_order_is_over_when_nothing_more_is_to_come() -> None:
    assert not is_over(an_order(*places(PLACED, ACCEPTED, COMPLETED)))
    whole = an_order(*places(PLACED, NOTIFIED, ACCEPTED, TOLD, COMPLETED, TOLD_READY))
    assert is_over(whole)
    assert end(whole, Why.OVER) == b'event: end\ndata: {"reason":"over","state":"completed"}\n\n'
