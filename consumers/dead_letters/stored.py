"""Letters in their bucket: one JSON object each, sealed, and read so that one that nobody can read hides no other.

What may quote a customer is sealed under that customer's key: who may not read the keys sees where, when and what kind.
"""

import re
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

import msgspec
from botocore.exceptions import ClientError

from analytics.privacy import CustomerKeys, order_subject
from consumers.dead_letters import forms
from consumers.dead_letters.addresses import DROPPED, is_dropped, living
from consumers.dead_letters.forms import Beyond, ForgottenLetter, NoLetter, Unreadable
from consumers.dead_letters.letters import DeadLetter
from foundation.bucket import Bucket, StoredObject, TooLarge, WriteRefused
from foundation.error_codes import error_code

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# Letters read at a time: fewer than a client's ten connections, and each may be as large as a record, 10 MiB.
READERS = 8
# In bytes: a record of 10 MiB is 18 MiB when it is sealed, and its error may quote it.
MOST_BYTES = 64 * 1024 * 1024
# In bytes as it is written: S3 keeps 2 KB with an object.
MOST_REASON = 1500

_DENIED = frozenset({"AccessDenied", "403", "InvalidObjectState"})


@dataclass(frozen=True)
class Dropped:
    """Why and when a letter was dropped."""

    reason: str
    at: str


@dataclass(frozen=True)
class StoredLetter:
    """A letter as it was read; a write over it goes through only if it is still so."""

    letter: DeadLetter
    etag: str
    sealed: str
    dropped: Dropped | None = None
    beyond: Beyond = field(default_factory=dict)


class S3DeadLetters:
    """One JSON object a letter: no size limit below Kinesis' own. Those that were dropped lie under `dropped/`."""

    def __init__(self, client: "S3Client", bucket: str, keys: CustomerKeys) -> None:
        self._client = client
        self._bucket = Bucket(client, bucket)
        self._keys = keys

    def put(self, letter: DeadLetter) -> None:
        self._client.put_object(
            Bucket=self._bucket.name,
            Key=letter.key,
            # guarantee: a dead letter is sealed
            Body=forms.body(letter, self._seal(letter)),
            ContentType="application/json",
        )

    def read(self, key: str) -> StoredLetter | None:
        """The letter, or None when there is none. Raises `NoLetter` for what cannot be read as one."""
        stored = _object(self._bucket, key)
        if stored is None:
            return None
        try:
            written, beyond = forms.written(stored.body)
            text = self._text(written.sealed)
            if text is None:
                raise ForgottenLetter(self._where(key), *_FORGOTTEN, stored.etag)
            letter = forms.opened(written, text)
        except Unreadable as error:
            raise NoLetter(self._where(key), error.why, error.fix, stored.etag) from error
        if letter.key != living(key):
            why = f"holds the letter of another place, {letter.key}"
            raise NoLetter(self._where(key), why, "`takeaway dlq drop` sets it aside", stored.etag)
        return StoredLetter(letter, stored.etag, written.sealed, _dropped(stored) if is_dropped(key) else None, beyond)

    def replace(self, stored: StoredLetter, letter: DeadLetter) -> StoredLetter:
        """Writes over the letter as it was read; `WriteRefused` when it is another one by now, or gone."""
        sealed = stored.sealed if forms.words(letter) == forms.words(stored.letter) else self._seal(letter)
        etag = self._bucket.replace(letter.key, forms.body(letter, sealed, stored.beyond), stored.etag)
        return replace(stored, letter=letter, etag=etag, sealed=sealed)

    def remove(self, key: str) -> None:
        """For good, and what was dropped of it before: its record went well."""
        self._bucket.delete(DROPPED + key)
        self._bucket.delete(key)

    def drop(self, key: str, etag: str, reason: str, at: datetime) -> bool:
        """Moves what lies under the key, letter or not, as it is. False when that is gone, or another by now.

        Whatever breaks off in between leaves it in both places, and dropping it again ends it.
        """
        told = {"reason": quote(reason, safe=" ", errors="replace"), "dropped-at": at.isoformat()}
        # guarantee: a dropped letter is written before the other is removed
        if not self._bucket.copy(key, DROPPED + key, etag, told):
            return False
        self._bucket.delete(key)
        return True

    def restore(self, key: str) -> bool:
        """Brings a dropped one back, without its claim; False when there is none. One that is there again is kept."""
        stored = _object(self._bucket, DROPPED + key)
        if stored is None:
            return False
        try:
            self._bucket.create(key, forms.unclaimed(stored.body))
        except WriteRefused:
            if self._bucket.size(key) is None:
                raise
        self._bucket.delete(DROPPED + key)
        return True

    def keys(self, prefix: str = "") -> list[str]:
        """Of what lies there; what was dropped is named by prefixes that begin with `dropped/` alone."""
        return [key for key in self._bucket.keys(prefix) if is_dropped(prefix) or not is_dropped(key)]

    def read_all(self, keys: Iterable[str]) -> Iterator[tuple[str, StoredLetter | NoLetter]]:
        """Each letter that is still there, in the order of the keys; a few are read at once, and no more are held."""
        waiting: deque[tuple[str, Future[StoredLetter | NoLetter | None]]] = deque()
        with ThreadPoolExecutor(READERS, thread_name_prefix="letters") as readers:
            rest = iter(keys)
            while True:
                while len(waiting) < READERS and (key := next(rest, None)) is not None:
                    waiting.append((key, readers.submit(self.look, key)))
                if not waiting:
                    return
                key, reading = waiting.popleft()
                if (found := reading.result()) is not None:
                    yield key, found

    def look(self, key: str) -> StoredLetter | NoLetter | None:
        """`read`, with what cannot be read as an answer."""
        try:
            return self.read(key)
        except NoLetter as error:
            return error

    def _seal(self, letter: DeadLetter) -> str:
        """Its key is safe before the letter is written."""
        token = self._keys.token(_subject(letter), msgspec.json.encode(forms.words(letter)).decode())
        self._keys.save()
        return token

    def _text(self, sealed: str) -> str | None:
        try:
            return self._keys.objects.texts([sealed])[sealed]
        except ClientError as error:
            if error_code(error) not in _DENIED:
                raise
            why = f"is sealed under a key that may not be read ({error_code(error)})"
            raise Unreadable(why, "allow this identity to read the stack's bucket of customers' keys") from error
        except (msgspec.MsgspecError, ValueError) as error:
            why = f"is sealed under a key that cannot be read: {error}"
            raise Unreadable(
                why, "bring the page of keys back from a version of its bucket, or drop the letter"
            ) from error

    def _where(self, key: str) -> str:
        return f"s3://{self._bucket.name}/{key}"


def kind_of(bucket: Bucket, key: str) -> str | None:
    """The class of a letter's error, which takes no key to read; None when there is no letter. Raises `NoLetter`."""
    stored = _object(bucket, key)
    try:
        return forms.written(stored.body)[0].kind if stored else None
    except Unreadable as error:
        raise NoLetter(f"s3://{bucket.name}/{key}", error.why, error.fix) from error


# A customer who was forgotten takes the letters along.
_FORGOTTEN = (
    "is sealed under a key that was dropped: its customer was forgotten",
    "`takeaway dlq drop` sets it aside, or leave it: it is skipped",
)


def _object(bucket: Bucket, key: str) -> StoredObject | None:
    """Raises `NoLetter` for what may not be read, or is larger than any letter."""
    where = f"s3://{bucket.name}/{key}"
    try:
        return bucket.read(key, most=MOST_BYTES)
    except TooLarge as error:
        raise NoLetter(
            where, f"is no dead letter: {error.size:,} bytes", "`takeaway dlq drop` sets it aside", error.etag
        ) from error
    except ClientError as error:
        # guarantee: a letter that may not be read hides no other
        if error_code(error) not in _DENIED:
            raise
        why = f"may not be read ({error_code(error)})"
        raise NoLetter(where, why, "allow this identity to get objects of the bucket of dead letters") from error


def _dropped(stored: StoredObject) -> Dropped:
    return Dropped(unquote(stored.metadata.get("reason", "")), stored.metadata.get("dropped-at", ""))


def _subject(letter: DeadLetter) -> str:
    """Whose key seals it: the customer's, as far as the bytes still tell, or else the order's.

    The order is its partition key, or what the bytes tell; of neither, the key is the letter's own.
    """
    if customer := _named(_CUSTOMER_ID, letter):
        return customer
    if letter.partition_key is not None:
        return order_subject(letter.partition_key)
    return order_subject(_named(_ORDER_ID, letter) or letter.key)


def _named(by: re.Pattern[bytes], letter: DeadLetter) -> str | None:
    found = by.search(letter.payload)
    return found[1].decode(errors="replace") if found else None


# By the bytes, since nobody could read them.
_CUSTOMER_ID = re.compile(rb'"customer_id"\s*:\s*"([^"\\]{1,128})"')
_ORDER_ID = re.compile(rb'"order_id"\s*:\s*"([^"\\]{1,128})"')
