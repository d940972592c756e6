"""Customers' names and addresses as tokens: text for who may read the keys, nothing for anybody once those are dropped.

Each customer gets a random key of 128 bits from each process that meets one; tokens are made with AES-GCM. Keys are
gathered on pages. A process asks now and then which customers were forgotten, and gives them a new key from then on.
"""

import base64
import os
import threading
from binascii import b2a_base64
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from analytics.privacy.forgotten import KEPT, Forgotten
from analytics.privacy.pages import KeyObjects, Row, SavedPage
from analytics.privacy.tokens import COUNT_SIZE, NONCE_HEAD, PAGE_NAME_LENGTH
from foundation.clock import SYSTEM_CLOCK, Clock, Moment

# What is read this much later than `forget` came back, or 30 s more, is sealed under a new key.
ASK_EVERY = timedelta(seconds=30)
# A page is written again while it has fewer rows: there are as few pages as keys fill, however often they are saved,
# and a save is one write, of at most 60 kB more than what is new.
FULL_PAGE = 1024
_KEY_SIZE = 16
_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_MOST_TOKENS = 1 << (8 * COUNT_SIZE)
# Texts of one customer that are remembered, so that the same text is the same token, and a column of them packs well.
_REMEMBERED_TEXTS = 4
_REMEMBERED_LENGTH = 256
_KEYS_AT_ONCE = 256

RandomBytes = Callable[[int], bytes]


class AskedTooLate(Exception):
    """A process has keys to save, and it can no longer be told which of their customers were forgotten."""


class _Own:
    """A key that this process made, and what it made with it."""

    __slots__ = ("count", "generation", "key", "prefix", "tokens")

    def __init__(self, prefix: str, key: bytes, generation: int) -> None:
        self.prefix = prefix
        self.key = key
        self.generation = generation
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
                count = self.count.to_bytes(COUNT_SIZE, "big")
                sealed = cipher.encrypt(NONCE_HEAD + count, text.encode("utf-8", "surrogatepass"), None)
                # guarantee: no name and no address reaches the lake
                token = self.prefix + b2a_base64(count + sealed, newline=False).translate(_URL_SAFE, b"=").decode()
                if len(self.tokens) < _REMEMBERED_TEXTS and len(text) <= _REMEMBERED_LENGTH:
                    self.tokens[text] = token
            tokens.append(token)
        return tokens


class _Page:
    """A page of this process' keys. `saved` is what is known to lie there."""

    __slots__ = ("is_changed", "name", "rows", "saved")

    def __init__(self, name: str) -> None:
        self.name = name
        self.rows: list[Row | None] = []
        self.saved: SavedPage | None = None
        self.is_changed = False

    def add(self, row: Row) -> int:
        """The row's number."""
        self.rows.append(row)
        self.is_changed = True
        return len(self.rows) - 1

    def drop(self, goes: Callable[[str, int], bool]) -> None:
        for at, row in enumerate(self.rows):
            if row and goes(row.subject, row.generation):
                self.rows[at] = None
                self.is_changed = True

    def found(self, saved: SavedPage) -> None:
        self.saved = saved
        for at, row in enumerate(saved.rows):
            if row is None:
                self.rows[at] = None


class CustomerKeys:
    """Makes tokens, for all threads of a process. What has tokens in it may be shown only after `save`.

    `most` keys are remembered; a customer beyond that gets another one. No key is ever read back for a new token.
    To make a token may raise what S3 raises, or `AskedTooLate`.
    """

    def __init__(
        self,
        objects: KeyObjects,
        *,
        clock: Clock = SYSTEM_CLOCK,
        random: RandomBytes = os.urandom,
        most: int = 20_000,
    ) -> None:
        self.objects = objects
        self._clock = clock
        self._random = random
        self._most = most
        self._lock = threading.Lock()
        self._saving = threading.Lock()
        self._asking = threading.Lock()
        # The keys used lately and those used before that: two halves are a cheap "least recently used".
        self._recent: dict[str, _Own] = {}
        self._older: dict[str, _Own] = {}
        self._page = self._new_page()
        self._full: list[_Page] = []
        self._unused: list[bytes] = []
        self._asked: Moment | None = None
        self._generation = 0
        # Whether keys were saved since the generation was last asked for.
        self._must_ask = False

    def token(self, subject: str, text: str) -> str:
        """The subject is a customer's id, or `order_subject`."""
        self._ask_when_due()
        with self._lock:
            token: str = self._own(subject).seal(text)[0]
        return token

    def tokens_of_customers(
        self, customer_ids: Sequence[str], *columns: Sequence[str | None]
    ) -> list[list[str | None]]:
        """Columns of texts, with a customer for each row, as columns of tokens; None stays None."""
        self._ask_when_due()
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
        """Comes back when every key that was made before the call is safe, and of no forgotten customer.

        Any error: call again.
        """
        with self._saving:
            self._write()
            if self._must_ask:
                # guarantee: what was forgotten while a page was saved is dropped before its tokens are shown
                self._ask()
                self._must_ask = False
                # What was dropped on asking. Keys of other threads may go with it: these ask for themselves.
                self._write()
            with self._lock:
                if len(self._page.rows) >= FULL_PAGE:
                    self._full.append(self._page)
                    self._page = self._new_page()
                self._full = [page for page in self._full if page.is_changed or self._must_ask]

    def _write(self) -> None:
        """Each page that has changed."""
        with self._lock:
            changed = [page for page in (*self._full, self._page) if page.is_changed]
        for page in changed:
            self._must_ask = True
            with self._lock:
                rows, page.is_changed = list(page.rows), False
            saved: SavedPage | None = None
            try:
                saved = self.objects.save(page.name, rows, page.saved)
            finally:
                with self._lock:
                    if saved is None:
                        page.is_changed = True
                    else:
                        page.found(saved)

    def _ask_when_due(self) -> None:
        with self._asking:
            # guarantee: a process asks for the generation again and again
            if self._asked is None or not self._asked.is_within(ASK_EVERY, self._clock):
                self._ask_now()

    def _ask(self) -> None:
        with self._asking:
            self._ask_now()

    def _ask_now(self) -> None:
        at = Moment.now(self._clock)
        forgotten = self.objects.forgotten()
        with self._lock:
            if self._asked is not None and forgotten.generation != self._generation:
                self._drop(forgotten)
            self._generation, self._asked = forgotten.generation, at

    def _drop(self, forgotten: Forgotten) -> None:
        pages = (*self._full, self._page)
        goes = forgotten.test(self._generation)
        if not forgotten.reaches(self._generation):
            if self._must_ask or any(page.is_changed for page in pages):
                raise AskedTooLate(
                    f"this process has keys to save and has not asked for {KEPT.days} days which customers were "
                    "forgotten. fix: start it again; what it has not stored it reads again"
                )
            self._recent, self._older = {}, {}
        # guarantee: a forgotten customer's key is used no more
        self._recent, self._older = _without(self._recent, goes), _without(self._older, goes)
        for page in pages:
            page.drop(goes)

    def _own(self, subject: str, texts: int = 1) -> _Own:
        """A key of the subject's that has room for so many texts."""
        own = self._recent.get(subject)
        if own is not None and own.has_room_for(texts):
            return own
        own = self._older.pop(subject, None)
        if own is None or not own.has_room_for(texts):
            own = self._new_own(subject)
        if len(self._recent) >= self._most // 2:
            self._older, self._recent = self._recent, {}
        self._recent[subject] = own
        return own

    def _new_own(self, subject: str) -> _Own:
        key = self._new_key()
        number = self._page.add(Row(subject, key, self._generation))
        return _Own(f"{self._page.name}.{number}.", key, self._generation)

    def _new_key(self) -> bytes:
        """Random bytes are asked for many at a time: that costs a call to the system."""
        if not self._unused:
            many = self._random(_KEY_SIZE * _KEYS_AT_ONCE)
            self._unused = [many[start : start + _KEY_SIZE] for start in range(0, len(many), _KEY_SIZE)]
        return self._unused.pop()

    def _new_page(self) -> _Page:
        return _Page(base64.urlsafe_b64encode(self._random(PAGE_NAME_LENGTH * 3 // 4)).decode())


def _without(own: dict[str, _Own], goes: Callable[[str, int], bool]) -> dict[str, _Own]:
    return {subject: key for subject, key in own.items() if not goes(subject, key.generation)}
