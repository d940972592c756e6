"""Calls the orders API as customers and restaurants do: repeated under one key until answered, or until time is up."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus

import httpx
import msgspec

from events import OrderState
from foundation.backoff import pause_after
from foundation.clock import Clock, Wait
from producers.orders import DEFAULT_KEYS, CancelOrder, PlaceOrder, RestaurantCommand, Role, TokenKey

FIRST_BACKOFF = 0.1
LONGEST_BACKOFF = 2.0
TOKEN_LIFE = timedelta(hours=1)


@dataclass(frozen=True)
class Acknowledged:
    """The API says the event is on the stream."""

    event_id: str


@dataclass(frozen=True)
class Refused:
    """The API will not do it, however often it is asked. `state` is the order's, where that is why."""

    status: int
    detail: str
    state: OrderState | None = None


@dataclass(frozen=True)
class Unanswered:
    """No answer that settles it before the time was up: the event may be on the stream."""

    reason: str


Reply = Acknowledged | Refused | Unanswered


class _Done(msgspec.Struct, frozen=True):
    event_id: str


class Awaited(msgspec.Struct, frozen=True):
    """A step that an order waits for: `actor` is to tell one of `tells` by then, and `owner` answers for it."""

    actor: str
    owner: str
    tells: tuple[str, ...]
    by: datetime


class Standing(msgspec.Struct, frozen=True):
    """How an order stands. `waits_for` begins with what is due first; None while that cannot be asked."""

    state: OrderState
    restaurant_id: str
    waits_for: tuple[Awaited, ...] | None = None


class _Conflict(msgspec.Struct, frozen=True):
    """A problem, as far as it matters here. An older API's tells no state."""

    state: OrderState | None = None


class OrdersClient:
    """Speaks for any customer and any restaurant: it holds the key that signs their tokens. Safe to share."""

    def __init__(
        self,
        http: httpx.Client,
        token_key: TokenKey,
        *,
        clock: Clock,
        wait: Wait,
        give_up_after: timedelta = timedelta(seconds=60),
    ) -> None:
        self._http = http
        self._token_key = token_key
        self._clock = clock
        self._wait = wait
        self._give_up_after = give_up_after.total_seconds()

    def place(self, order: PlaceOrder, *, customer_id: str, idempotency_key: str) -> Reply:
        return self._post("/orders", order, customer_id, "customer", idempotency_key)

    def perform(self, command: RestaurantCommand, *, order_id: str, restaurant_id: str) -> Reply:
        kind = DEFAULT_KEYS[type(command)]
        return self._post(f"/orders/{order_id}/{kind}", command, restaurant_id, "restaurant", kind)

    def cancel(self, order_id: str, *, customer_id: str) -> Reply:
        command = CancelOrder()
        kind = DEFAULT_KEYS[type(command)]
        return self._post(f"/orders/{order_id}/{kind}", command, customer_id, "customer", kind)

    def state(self, order_id: str, *, customer_id: str) -> OrderState | None:
        """What state the order is in; None when that cannot be said now."""
        standing = self.standing(order_id, customer_id=customer_id)
        return standing.state if standing is not None else None

    def standing(self, order_id: str, *, customer_id: str) -> Standing | None:
        """How the order stands; None when that cannot be said now."""
        try:
            response = self._http.get(f"/orders/{order_id}", headers=self._authorized(customer_id, "customer"))
        except httpx.TransportError:
            return None
        return msgspec.json.decode(response.content, type=Standing) if response.is_success else None

    def _authorized(self, subject: str, role: Role) -> dict[str, str]:
        token = self._token_key.sign(subject, role, self._clock.now() + TOKEN_LIFE)
        return {"Authorization": f"Bearer {token}"}

    def _post(self, path: str, body: msgspec.Struct, subject: str, role: Role, idempotency_key: str) -> Reply:
        give_up_at = self._clock.monotonic() + self._give_up_after
        failures = 0
        while True:
            reply = self._try(path, body, subject, role, idempotency_key)
            failures += 1
            pause = pause_after(failures, first=FIRST_BACKOFF, longest=LONGEST_BACKOFF)
            if not isinstance(reply, Unanswered) or self._clock.monotonic() + pause >= give_up_at:
                return reply
            self._wait(pause)

    def _try(self, path: str, body: msgspec.Struct, subject: str, role: Role, idempotency_key: str) -> Reply:
        headers = {
            **self._authorized(subject, role),
            "Content-Type": "application/json",
            "Idempotency-Key": idempotency_key,
        }
        try:
            response = self._http.post(path, content=msgspec.json.encode(body), headers=headers)
        except httpx.TransportError as error:
            return Unanswered(f"{type(error).__name__}: {error}")
        if response.is_success:
            return Acknowledged(msgspec.json.decode(response.content, type=_Done).event_id)
        if response.is_server_error or response.status_code == HTTPStatus.TOO_MANY_REQUESTS:
            return Unanswered(f"HTTP {response.status_code}")
        return Refused(response.status_code, response.text[:500], _told_state(response))


def _told_state(response: httpx.Response) -> OrderState | None:
    """None where the answer tells none, or is none of the API's."""
    try:
        return msgspec.json.decode(response.content, type=_Conflict).state
    except (msgspec.DecodeError, RecursionError):
        return None
