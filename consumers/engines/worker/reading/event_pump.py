"""Listens to a subscription in a thread of its own, so that whoever waits for its next event can stop at any moment."""

import threading
from collections.abc import Iterator
from queue import Empty, Full, Queue
from typing import Generic, Protocol, TypeVar

EventT = TypeVar("EventT")
EventT_co = TypeVar("EventT_co", covariant=True)

# How late a stop is noticed while nothing comes.
_GLANCE_SECONDS = 0.2


class Subscription(Protocol[EventT_co]):
    """botocore's EventStream, as far as it is used here."""

    def __iter__(self) -> Iterator[EventT_co]: ...
    def close(self) -> None: ...


class _End(Exception):
    """The subscription ended in good order."""


def pumped(subscription: Subscription[EventT]) -> Iterator[EventT | None]:
    """Its events as they come, None every now and then while none does. Raises what listening to it raises.

    Two events wait at most, one here and one in the thread; then nothing more is taken from the connection. When this
    iterator is closed, nobody waits: the thread closes the subscription when it hears the next event, or none in time.
    """
    pump = _Pump(subscription)
    thread = threading.Thread(target=pump.run, name="subscription", daemon=True)
    thread.start()
    try:
        while True:
            try:
                heard = pump.heard.get(timeout=_GLANCE_SECONDS)
            except Empty:
                yield None
                continue
            if isinstance(heard, _End):
                return
            if isinstance(heard, BaseException):
                raise heard
            yield heard
    finally:
        pump.closed.set()


class _Pump(Generic[EventT]):
    def __init__(self, subscription: Subscription[EventT]) -> None:
        self.heard: Queue[EventT | BaseException] = Queue(maxsize=1)
        self._subscription = subscription
        self.closed = threading.Event()

    def run(self) -> None:
        """Closes the subscription itself: who closes a connection that another thread reads waits for that thread."""
        try:
            for event in self._subscription:
                self._hand_over(event)
                if self.closed.is_set():
                    return
        except BaseException as error:  # noqa: BLE001 - raised again where somebody hears it
            self._hand_over(error)
        else:
            self._hand_over(_End())
        finally:
            self._subscription.close()

    def _hand_over(self, heard: EventT | BaseException) -> None:
        while not self.closed.is_set():
            try:
                self.heard.put(heard, timeout=_GLANCE_SECONDS)
            except Full:
                continue
            return
