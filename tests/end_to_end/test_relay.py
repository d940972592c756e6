"""kill -9 of the orders API between its table and the stream, and no client that comes back: another API tells it.

`RELAY_KILLS=20` for more of it; `make chaos-relay` does.
"""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path

import httpx
import pytest

from consumers.specs import readers
from events import Event, OrderAccepted, OrderPlaced
from foundation.clock import SYSTEM_CLOCK
from producers.assembly import orders_table, token_key
from producers.load.ledger import LedgerWriter, expected_events
from producers.orders import DEFAULT_KEYS, AcceptOrder, Role, derive_order_id
from takeaway.audit.evidence import stream_facts
from takeaway.audit.observer import StreamObserver
from takeaway.audit.verdict import DOUBLED, LOST, REPEATED_EFFECT, REPEATED_EVENT, Bounds
from takeaway.local import aws as local_aws
from takeaway.local import processes
from takeaway.stack.flow import api_url
from tests.conftest import the_backend
from tests.support.flow import Flow, until
from tests.support.proxy import Answer, Request, proxy
from tests.support.tables import Tables

pytestmark = pytest.mark.end_to_end

KILLS = int(os.environ.get("RELAY_KILLS", "5"))
CUSTOMER, RESTAURANT = "customer-1", "restaurant-01"
BODY = {
    "restaurant_id": RESTAURANT,
    "customer_name": "Ada Lovelace",
    "customer_email": "ada@example.com",
    "items": [{"sku": "sku-1", "name": "Margherita", "quantity": 2, "unit_price": 950}],
    "currency": "EUR",
    "city": "Utrecht",
}
# What becomes of an order: which of its commands are the last that an API carries out.
AT = ("place", "accept", "place and accept")


@pytest.fixture
def reached(tmp_path: Path) -> Iterator[dict[str, str]]:
    backend, reached = the_backend().start(local_aws.free_port(), tmp_path / "logs", following=True)
    yield reached
    processes.stop_processes([backend], grace=5)


@pytest.fixture
def flow(tmp_path: Path, reached: dict[str, str]) -> Iterator[Flow]:
    flow = Flow.deployed(tmp_path, reached)
    yield flow
    flow.stop_all()


@dataclass
class Victim:
    """An API process that is killed as soon as it wants to put a record onto the stream; none of its records comes."""

    flow: Flow
    name: str
    port: int = field(default_factory=local_aws.free_port)
    killed_at: float | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def behave(self, request: Request, forward: Callable[[], Answer]) -> Answer | None:
        if not request.target.endswith(".PutRecords"):
            return forward()
        with self._lock:
            if self.killed_at is None:
                # First: the client may go on before the process is gone for sure.
                self.killed_at = SYSTEM_CLOCK.monotonic()
                self.flow.kill(self.name)
        return None


@dataclass
class Clients:
    """Customers and restaurants that ask once, and promise in the ledger what is stored by then."""

    flow: Flow
    ledger: LedgerWriter

    def place(self, port: int, key: str) -> None:
        self._promise(OrderPlaced, key, key)
        self._post(port, "/orders", "customer", CUSTOMER, BODY, key)

    def accept(self, port: int, key: str) -> None:
        self._promise(OrderAccepted, DEFAULT_KEYS[AcceptOrder], key)
        order_id = derive_order_id(CUSTOMER, key)
        self._post(port, f"/orders/{order_id}/accept", "restaurant", RESTAURANT, {"ready_in_minutes": 20}, None)

    def _promise(self, event: type[Event], command_key: str, key: str) -> None:
        expected = expected_events(
            event,
            command_key,
            order_id=derive_order_id(CUSTOMER, key),
            restaurant_id=RESTAURANT,
            customer_id=CUSTOMER,
            intended_at=SYSTEM_CLOCK.now(),
        )
        self.ledger.acknowledge(expected, SYSTEM_CLOCK.now())

    def _post(self, port: int, path: str, role: Role, subject: str, body: object, key: str | None) -> None:
        until_when = SYSTEM_CLOCK.now() + timedelta(minutes=5)
        token = token_key(self.flow.environ).sign(subject, role, until_when)
        headers = {"Authorization": f"Bearer {token}", **({"Idempotency-Key": key} if key else {})}
        try:
            answer = httpx.post(f"{api_url(port)}{path}", json=body, headers=headers, trust_env=False, timeout=30)
        except httpx.TransportError:
            return
        assert port == self.flow.api_port, answer.text
        assert answer.is_success, answer.text


@pytest.mark.long
@pytest.mark.timeout(60 + 30 * KILLS)
def test_what_a_killed_api_has_stored_another_one_tells(flow: Flow, reached: dict[str, str], tables: Tables) -> None:
    flow.start_api()
    for consumer in readers():
        flow.start_consumer(consumer)
    orders, observer, seconds = orders_table(flow.environ), StreamObserver(flow.environ), list[float]()

    def stored(key: str) -> list[str]:
        order = orders.get(derive_order_id(CUSTOMER, key))
        assert order
        return [performed.envelope.event_id for performed in order.history]

    def told(key: str) -> bool:
        observer.look()
        return observer.seen.issuperset(stored(key))

    with LedgerWriter(flow.ledger, "kills") as ledger:
        clients = Clients(flow, ledger)
        for kill in range(KILLS):
            key, at = f"kill-{kill}", AT[kill % len(AT)]
            with ExitStack() as proxies:

                def victim(command: str, kill: int = kill, proxies: ExitStack = proxies) -> Victim:
                    one = Victim(flow, f"{command}-{kill}")
                    through = proxies.enter_context(proxy(reached["AWS_ENDPOINT_URL"], one.behave))
                    flow.start_another_api(one.name, one.port, AWS_ENDPOINT_URL=through)
                    return one

                # Both before either has anything to do: they relay, too.
                placing = victim("place") if "place" in at else None
                accepting = victim("accept") if "accept" in at else None
                clients.place(placing.port if placing else flow.api_port, key)
                if accepting:
                    clients.accept(accepting.port, key)
                last = accepting or placing
                assert last
                assert last.killed_at
                assert len(stored(key)) == (2 if accepting else 1)
                until(partial(told, key), within=30, every=0.05)
                seconds.append(SYSTEM_CLOCK.monotonic() - last.killed_at)
    flow.drain()
    until(lambda: flow.look().at_rest, every=1)
    assert {name: flow.stop(name) for name in ("api", *readers())} == dict.fromkeys(("api", *readers()), 0)

    # One that was slow to say that it is done may be overtaken by the relay.
    verdict = flow.audit(Bounds(repeated_events=KILLS))
    tables.add(
        "kill -9 between table and stream, no client comes back",
        kills=KILLS,
        on_the_stream_after=f"{min(seconds):.1f} to {max(seconds):.1f} s",
        lost=verdict.count(LOST),
        doubled=verdict.count(DOUBLED),
        repeated_events=verdict.count(REPEATED_EVENT),
        repeated_effects=verdict.count(REPEATED_EFFECT),
    )
    assert verdict.ok, verdict.findings
    assert verdict.orders == KILLS
    facts, _ = stream_facts(flow.environ)
    for kill in range(KILLS):
        order_id, history = derive_order_id(CUSTOMER, f"kill-{kill}"), stored(f"kill-{kill}")
        came = [fact.event_id for fact in facts if fact.order_id == order_id and fact.event_id in history]
        assert list(dict.fromkeys(came)) == history
        settled = orders.get(order_id)
        assert settled
        assert settled.is_acknowledged
    assert '"Relayed"' in flow.log("api")
