"""The pages that hold customers' keys: one object each, of a bucket that a reader of the lake need not be able to read.

A page has one writer, which adds rows until it is full, and loses keys to any process that forgets; each write is on
condition of what was there before.
"""

import base64
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from analytics.privacy.forgotten import Forgotten, raise_generation, read_forgotten
from analytics.privacy.tokens import COUNT_SIZE, NONCE_HEAD, token_parts
from foundation.bucket import Bucket, WriteRefused
from foundation.clock import SYSTEM_CLOCK, Clock

PAGES_PREFIX = "keys/"
_TRIES = 10
# Pages looked through at a time: fewer than a client's ten connections.
_AT_ONCE = 8
_LISTED_AHEAD = 256


class Row(msgspec.Struct, frozen=True, array_like=True):
    """Whose key, the key, and the generation in which it was made: 0 on pages of earlier releases."""

    subject: str
    key: bytes
    generation: int = 0


# A row whose key was dropped is null, so that the others keep their numbers.
Rows = Sequence[Row | None]

_rows = msgspec.json.Decoder(list[Row | None])


@dataclass(frozen=True)
class SavedPage:
    """A page as it was last seen to lie there. `rows` has None where a key was dropped meanwhile."""

    rows: Rows
    etag: str


class KeyObjects:
    """The pages in their bucket, and what was forgotten."""

    def __init__(self, bucket: Bucket, clock: Clock = SYSTEM_CLOCK) -> None:
        self._bucket = bucket
        self._clock = clock

    def save(self, page: str, rows: Rows, before: SavedPage | None) -> SavedPage:
        """Comes back when the page is safe. `rows` are those of `before`, which was there last, and more.

        What was dropped there meanwhile stays dropped. A refused write may be our own, sent twice.
        """
        key = _object_key(page)
        for _ in range(_TRIES):
            body = msgspec.json.encode(rows)
            try:
                etag = self._bucket.replace(key, body, before.etag) if before else self._bucket.create(key, body)
            except WriteRefused:
                stored = self._bucket.read(key)
                if stored is None and before is None:
                    raise
                if stored is None:
                    # A page that was removed is no less dropped than its keys one by one.
                    rows, before = _without(rows, [None] * len(before.rows if before else ())), None
                    continue
                there = _rows.decode(stored.body)
                # guarantee: a key that was dropped from a page does not come back with its writer
                rows = _without(rows, there)
                if rows == there:
                    return SavedPage(rows, stored.etag)
                before = SavedPage(there, stored.etag)
            else:
                return SavedPage(rows, etag)
        raise _always_changed(self._bucket, key)

    def texts(self, tokens: Iterable[str]) -> dict[str, str | None]:
        """What each token stands for; None when its key was dropped, or it is no token of this bucket's keys."""
        pages: dict[str, Rows] = {}
        texts: dict[str, str | None] = {}
        for token in tokens:
            page, row, sealed = token_parts(token)
            if page not in pages:
                stored = self._bucket.read(_object_key(page)) if page else None
                pages[page] = _rows.decode(stored.body) if stored else []
            texts[token] = _opened(pages[page], row, sealed)
        return texts

    def forgotten(self) -> Forgotten:
        return read_forgotten(self._bucket)

    def forget(self, subjects: Iterable[str]) -> int:
        """Drops every key of these; answers how many. Safe beside all that add pages or drop keys.

        A page that is saved before the generation is raised is found here; the writer of any other asks for the
        generation when it has saved, and drops these keys itself before their tokens are shown.
        """
        gone = frozenset(subjects)
        # guarantee: to forget raises the generation before it drops a key
        generation = raise_generation(self._bucket, gone, self._clock.now())
        dropped = 0
        # guarantee: a forgotten customer is forgotten in all pages
        keys = self._bucket.keys(PAGES_PREFIX)
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="forget") as threads:
            while some := list(islice(keys, _LISTED_AHEAD)):
                dropped += sum(threads.map(lambda key: self._drop(key, gone, generation), some))
        return dropped

    def _drop(self, key: str, gone: frozenset[str], generation: int) -> int:
        for _ in range(_TRIES):
            stored = self._bucket.read(key)
            rows = _rows.decode(stored.body) if stored else []
            # guarantee: a key that was made in the knowledge of a forgetting stays
            kept = [None if row and row.subject in gone and row.generation < generation else row for row in rows]
            dropped = kept.count(None) - rows.count(None)
            if stored is None or not dropped:
                return 0
            try:
                self._bucket.replace(key, msgspec.json.encode(kept), stored.etag)
            except WriteRefused:
                continue
            return dropped
        raise _always_changed(self._bucket, key)


def _without(rows: Rows, there: Rows) -> Rows:
    """The rows, but for those that were dropped there."""
    gone = {at for at, row in enumerate(there) if row is None}
    return [None if at in gone else row for at, row in enumerate(rows)]


def _always_changed(bucket: Bucket, key: str) -> WriteRefused:
    return WriteRefused(f"s3://{bucket.name}/{key} is changed all the time. fix: try again")


def _object_key(page: str) -> str:
    return f"{PAGES_PREFIX}{page}.json"


def _opened(rows: Rows, row: str, sealed: str) -> str | None:
    own = rows[int(row)] if row and int(row) < len(rows) else None
    if own is None:
        return None
    try:
        raw = base64.urlsafe_b64decode(sealed + "=" * (-len(sealed) % 4))
        text = AESGCM(own.key).decrypt(NONCE_HEAD + raw[:COUNT_SIZE], raw[COUNT_SIZE:], None)
    except (InvalidTag, ValueError):
        return None
    return text.decode(errors="surrogatepass")
