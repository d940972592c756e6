"""Who was forgotten lately, as a generation that each `forget` raises: so that running processes come to know it.

The rule for every key, wherever it is: made in generation g, it goes when its customer is forgotten in a later one.
"""

import hashlib
import secrets
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

import msgspec

from foundation.bucket import Bucket, WriteRefused

FORGOTTEN_KEY = "forgotten.json"
# A process that has not asked for longer than that cannot be told any more, and starts anew.
KEPT = timedelta(days=7)
_TRIES = 10
_DIGEST_SIZE = 8


class _Entry(msgspec.Struct, frozen=True):
    """One `forget`. Digests, since a list of those who wanted to be forgotten would be one more thing about them."""

    generation: int
    at: datetime
    salt: str
    digests: tuple[str, ...]


class Forgotten(msgspec.Struct, frozen=True):
    """The generation, and what was forgotten in the latest ones."""

    generation: int = 0
    entries: tuple[_Entry, ...] = ()

    def reaches(self, generation: int) -> bool:
        """Whether all that was forgotten after this generation is still told here."""
        return 0 <= self.generation - generation <= len(self.entries)

    def test(self, generation: int) -> "Callable[[str, int], bool]":
        """Whether a subject's key of a generation has to go, asked by who knew all up to `generation`."""
        entries = [entry for entry in self.entries if entry.generation > generation]
        names = [(entry.generation, entry.salt, frozenset(entry.digests)) for entry in entries]

        def goes(subject: str, made_in: int) -> bool:
            return any(made_in < later and _digest(salt, subject) in gone for later, salt, gone in names)

        return goes


_decoder = msgspec.json.Decoder(Forgotten)


def read_forgotten(bucket: Bucket) -> Forgotten:
    stored = bucket.read(FORGOTTEN_KEY)
    return _decoder.decode(stored.body) if stored else Forgotten()


def raise_generation(bucket: Bucket, subjects: Iterable[str], at: datetime) -> int:
    """Notes that these are forgotten; answers the generation, which no other call gets."""
    salt = secrets.token_hex(8)
    digests = tuple(_digest(salt, subject) for subject in sorted(subjects))
    for _ in range(_TRIES):
        stored = bucket.read(FORGOTTEN_KEY)
        before = _decoder.decode(stored.body) if stored else Forgotten()
        # An answer that was lost: the write before was ours.
        if own := [entry for entry in before.entries if entry.salt == salt]:
            return own[0].generation
        entry = _Entry(before.generation + 1, at, salt, digests)
        kept = tuple(older for older in before.entries if at - older.at <= KEPT)
        body = msgspec.json.encode(Forgotten(entry.generation, (*kept, entry)))
        try:
            if stored:
                bucket.replace(FORGOTTEN_KEY, body, stored.etag)
            else:
                bucket.create(FORGOTTEN_KEY, body)
        except WriteRefused:
            continue
        return entry.generation
    raise WriteRefused(f"s3://{bucket.name}/{FORGOTTEN_KEY} is changed all the time. fix: try again")


def _digest(salt: str, subject: str) -> str:
    return hashlib.blake2b(
        subject.encode(errors="surrogatepass"), key=salt.encode(), digest_size=_DIGEST_SIZE
    ).hexdigest()
