"""Customers' names and addresses as tokens: text for who may read the keys, nothing for anybody once those are dropped.

Each customer gets a random key of 128 bits from each process that meets one; tokens are made with AES-GCM. Keys are
gathered on pages, and a page is one object of a bucket that whoever reads the lake need not be able to read.
"""

import base64
import os
import threading
from binascii import b2a_base64
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from foundation.bucket import Bucket, WriteRefused

PAGES_PREFIX = "keys/"
_KEY_SIZE = 16
_PAGE_NAME_SIZE = 12
_COUNT_SIZE = 3
# A nonce is a count under its key, and a key is used by the process that made it only: no nonce comes twice.
_NONCE_HEAD = bytes(12 - _COUNT_SIZE)
_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_MOST_TOKENS = 1 << (8 * _COUNT_SIZE)
# Texts of one customer that are remembered, so that the same text is the same token, and a column of them packs well.
_REMEMBERED_TEXTS = 4
_REMEMBERED_LENGTH = 256
_TRIES = 10
_KEYS_AT_ONCE = 256

RandomBytes = Callable[[int], bytes]


class _Row(msgspec.Struct, frozen=True, array_like=True):
    """A page's row: whose key, and the key. A row that was dropped is null, so that the others keep their numbers."""

    subject: str
    key: bytes


_pages = msgspec.json.Decoder(list[_Row | None])


def order_subject(order_id: str) -> str:
    """Whose key seals what names an order and no customer."""
    return f"order:{order_id}"


class _Own:
    """A key that this process made, and what it made with it."""

    __slots__ = ("count", "key", "prefix", "tokens")

    def __init__(self, prefix: str, key: bytes) -> None:
        self.prefix = prefix
        self.key = key
        self.count = 0
        self.tokens: dict[str | None, str] = {}

    def has_room_for(self, texts: int) -> bool:
        return self.count + texts < _MOST_TOKENS

    def seal(self, *texts: str | None) -> list[Any]:
        """A token for each text, None for None."""
        tokens = []
        cipher = None
        for text in texts:
            token = self.tokens.get(text)
            if token is None and text is not None:
                cipher = cipher or AESGCM(self.key)
                self.count += 1
                count = self.count.to_bytes(_COUNT_SIZE, "big")
                sealed = cipher.encrypt(_NONCE_HEAD + count, text.encode("utf-8", "surrogatepass"), None)
                # guarantee: no name and no address reaches the lake
                token = self.prefix + b2a_base64(count + sealed, newline=False).translate(_URL_SAFE, b"=").decode()
                if len(self.tokens) < _REMEMBERED_TEXTS and len(text) <= _REMEMBERED_LENGTH:
                    self.tokens[text] = token
            tokens.append(token)
        return tokens


class KeyObjects:
    """The pages in their bucket. A page is created once; all that happens to it later is that keys are dropped."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    def create(self, page: str, rows: Iterable[tuple[str, bytes]]) -> None:
        """Comes back when the page is safe. Its name is random: one that is there is this one, sent twice."""
        try:
            self._bucket.create(_object_key(page), msgspec.json.encode([_Row(*row) for row in rows]))
        except WriteRefused:
            if self._bucket.read(_object_key(page)) is None:
                raise

    def texts(self, tokens: Iterable[str]) -> dict[str, str | None]:
        """What each token stands for; None when its key was dropped, or it is no token of this bucket's keys."""
        pages: dict[str, list[_Row | None]] = {}
        texts: dict[str, str | None] = {}
        for token in tokens:
            page, row, sealed = _parts(token)
            if page not in pages:
                stored = self._bucket.read(_object_key(page)) if page else None
                pages[page] = _pages.decode(stored.body) if stored else []
            texts[token] = _opened(pages[page], row, sealed)
        return texts

    def forget(self, subjects: Iterable[str]) -> int:
        """Drops every key of these; answers how many. Safe beside whoever adds pages or drops keys."""
        gone = frozenset(subjects)
        # guarantee: a forgotten customer is forgotten in all pages
        return sum(self._drop(key, gone) for key in self._bucket.keys(PAGES_PREFIX))

    def _drop(self, key: str, gone: frozenset[str]) -> int:
        for _ in range(_TRIES):
            stored = self._bucket.read(key)
            rows = _pages.decode(stored.body) if stored else []
            kept = [None if row is not None and row.subject in gone else row for row in rows]
            dropped = kept.count(None) - rows.count(None)
            if stored is None or not dropped:
                return 0
            try:
                self._bucket.replace(key, msgspec.json.encode(kept), stored.etag)
            except WriteRefused:
                continue
            return dropped
        raise WriteRefused(f"s3://{self._bucket.name}/{key} is changed all the time. fix: try again")


class CustomerKeys:
    """Makes tokens, for all threads of a process. What has tokens in it may be shown only after `save`.

    `most` keys are remembered; a customer beyond that gets another one. No key is ever read back for a new token.
    """

    def __init__(self, objects: KeyObjects, *, random: RandomBytes = os.urandom, most: int = 20_000) -> None:
        self.objects = objects
        self._random = random
        self._most = most
        self._lock = threading.Lock()
        self._saving = threading.Lock()
        # The keys used lately and those used before that: two halves are a cheap "least recently used".
        self._recent: dict[str, _Own] = {}
        self._older: dict[str, _Own] = {}
        self._rows: list[tuple[str, bytes]] = []
        self._page = self._new_page()
        self._unused: list[bytes] = []
        self._unsaved: list[tuple[str, list[tuple[str, bytes]]]] = []

    def token(self, subject: str, text: str) -> str:
        """The subject is a customer's id, or `order_subject`."""
        with self._lock:
            token: str = self._own(subject).seal(text)[0]
        return token

    def tokens_of_customers(
        self, customer_ids: Sequence[str], *columns: Sequence[str | None]
    ) -> list[list[str | None]]:
        """Columns of texts, with a customer for each row, as columns of tokens; None stays None."""
        # Row after row in one list: a list for each would have the garbage collector look at all of them.
        tokens: list[str | None] = []
        with self._lock:
            for customer_id, texts in zip(customer_ids, zip(*columns, strict=True), strict=True):
                own = self._recent.get(customer_id) or self._own(customer_id)
                row = [*map(own.tokens.get, texts)]
                if not all(row):
                    if not own.has_room_for(len(texts)):
                        own = self._own(customer_id, len(texts))
                    row = own.seal(*texts)
                tokens += row
        return [tokens[at :: len(columns)] for at in range(len(columns))]

    def save(self) -> None:
        """Comes back when every key that was made before the call is safe. Any error: call again."""
        with self._saving:
            with self._lock:
                if self._rows:
                    self._unsaved.append((self._page, self._rows))
                    self._rows, self._page = [], self._new_page()
            while self._unsaved:
                self.objects.create(*self._unsaved[0])
                del self._unsaved[0]

    def _own(self, subject: str, texts: int = 1) -> _Own:
        """A key of the subject's that has room for so many texts."""
        own = self._recent.get(subject)
        if own is not None and own.has_room_for(texts):
            return own
        own = self._older.pop(subject, None)
        if own is None or not own.has_room_for(texts):
            key = self._new_key()
            own = _Own(f"{self._page}.{len(self._rows)}.", key)
            self._rows.append((subject, key))
        if len(self._recent) >= self._most // 2:
            self._older, self._recent = self._recent, {}
        self._recent[subject] = own
        return own

    def _new_key(self) -> bytes:
        """Random bytes are asked for many at a time: that costs a call to the system."""
        if not self._unused:
            many = self._random(_KEY_SIZE * _KEYS_AT_ONCE)
            self._unused = [many[start : start + _KEY_SIZE] for start in range(0, len(many), _KEY_SIZE)]
        return self._unused.pop()

    def _new_page(self) -> str:
        return base64.urlsafe_b64encode(self._random(_PAGE_NAME_SIZE)).decode()


def sealed_texts(value: Any, seal: Callable[[str], str]) -> Any:
    """A JSON value with each text in it sealed, and each name in it that is no plain identifier. Numbers stay."""
    if isinstance(value, str):
        return seal(value)
    if isinstance(value, list):
        return [sealed_texts(one, seal) for one in value]
    if isinstance(value, dict):
        return {_sealed_name(name, seal): sealed_texts(one, seal) for name, one in value.items()}
    return value


def tokens_in(value: Any) -> Iterator[str]:
    """The texts of a JSON value that look like tokens."""
    if isinstance(value, str) and all(_parts(value)):
        yield value
    elif isinstance(value, list):
        for one in value:
            yield from tokens_in(one)
    elif isinstance(value, dict):
        for name, one in value.items():
            yield from tokens_in(name)
            yield from tokens_in(one)


def _sealed_name(name: str, seal: Callable[[str], str]) -> str:
    return name if name.isascii() and name.isidentifier() and name.islower() and len(name) <= 64 else seal(name)


def _object_key(page: str) -> str:
    return f"{PAGES_PREFIX}{page}.json"


def _parts(token: str) -> tuple[str, str, str]:
    """Page, row and sealed text; three times nothing for what is no token."""
    parts = token.split(".")
    if len(parts) != 3 or len(parts[0]) != 16 or not parts[1].isdecimal() or "/" in parts[0]:
        return "", "", ""
    return parts[0], parts[1], parts[2]


def _opened(rows: list[_Row | None], row: str, sealed: str) -> str | None:
    own = rows[int(row)] if row and int(row) < len(rows) else None
    if own is None:
        return None
    try:
        raw = base64.urlsafe_b64decode(sealed + "=" * (-len(sealed) % 4))
        text = AESGCM(own.key).decrypt(_NONCE_HEAD + raw[:_COUNT_SIZE], raw[_COUNT_SIZE:], None)
    except (InvalidTag, ValueError):
        return None
    return text.decode(errors="surrogatepass")
