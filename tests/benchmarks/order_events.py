"""The events that every client of a race gets: the same ones each time, about 350 bytes of JSON each.

The standard library is all it needs, since the peers live in another venv.
"""

import random
from collections import Counter
from collections.abc import Iterable

_STATES = ("created", "accepted", "cooking", "picked", "delivered")
_CITIES = ("Berlin", "Lisbon", "Austin", "Osaka", "Nairobi")


def order_events(count: int, seed: int = 7) -> list[tuple[str, bytes]]:
    """Each event with the order it is about, which is its partition key."""
    chance = random.Random(seed)
    return [_event(number, chance) for number in range(count)]


def few_keys(count: int, keys: int = 200) -> list[tuple[str, bytes]]:
    """Events of 350 bytes that say where they belong: each key's are numbered, in the order in which they are sent."""
    named = ((f"order-{at % keys:04d}", at // keys) for at in range(count))
    return [(key, f"{key} {number} ".encode().ljust(350, b".")) for key, number in named]


def workload(kind: str, count: int) -> list[tuple[str, bytes]]:
    """The events of a race, by name."""
    return {"orders": order_events, "few_keys": few_keys}[kind](count)


def differences(expected: Iterable[bytes], got: Iterable[bytes]) -> tuple[int, int]:
    """How many are missing, and how many there are beyond what was put in, told as multisets."""
    wanted, found = Counter(expected), Counter(got)
    return (wanted - found).total(), (found - wanted).total()


def _event(number: int, chance: random.Random) -> tuple[str, bytes]:
    order_id = f"ord-{number if number % 4 == 0 else chance.getrandbits(46):012x}"
    state = _STATES[number % 5]
    items = ",".join(
        f'{{"sku":"SKU-{chance.randrange(10**5):05d}","qty":{chance.randrange(9) + 1},'
        f'"price_cents":{chance.randrange(5000)}}}'
        for _ in range(2)
    )
    text = (
        f'{{"event_id":"{chance.getrandbits(128):032x}","event_type":"order.{state}","order_id":"{order_id}",'
        f'"customer_id":"cust-{chance.randrange(10**7):07d}","restaurant_id":"rest-{chance.randrange(10**5):05d}",'
        f'"status":"{state}","amount_cents":{chance.randrange(10**5)},"items":[{items}],'
        f'"city":"{_CITIES[number % 5]}","ts":"2026-11-23T01:{number // 60 % 60:02d}:{number % 60:02d}.000Z"}}'
    )
    return order_id, text.encode()
