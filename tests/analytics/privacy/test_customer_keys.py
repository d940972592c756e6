"""Tokens: read by who may read the keys, and by nobody once those are dropped."""

import json
import threading
from contextlib import suppress

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from analytics.privacy import customer_keys
from analytics.privacy.customer_keys import CustomerKeys
from analytics.privacy.pages import KeyObjects
from analytics.privacy.tokens import sealed_texts, tokens_in
from foundation.bucket import Bucket, WriteRefused
from tests.support.fakes.bucket import FakeBucket, Gate
from tests.support.worlds.lake_world import Crash, some_keys

ADA, BOB = "customer-1", "customer-2"
TEXTS = ("Ada Lovelace", "", "é\x00\n", "x" * 1_000_000, "\ud800")


@pytest.fixture
def bucket() -> FakeBucket:
    return FakeBucket("customer-keys")


def objects_of(bucket: FakeBucket, gate: Gate | None = None) -> KeyObjects:
    return KeyObjects(Bucket(bucket.through(gate or Gate()), bucket.name))


def text_of(bucket: FakeBucket, token: str) -> str | None:
    return objects_of(bucket).texts([token])[token]


@pytest.mark.parametrize("text", TEXTS, ids=["plain", "empty", "odd", "long", "surrogate"])
def test_a_token_is_the_text_for_who_has_the_keys(bucket: FakeBucket, text: str) -> None:
    keys = some_keys(bucket)
    token = keys.token(ADA, text)
    assert text_of(bucket, token) is None
    keys.save()
    assert text_of(bucket, token) == text
    assert token.isascii()
    assert "Lovelace" not in token


def test_a_customers_text_is_one_token_and_tells_nothing_of_another_customers(bucket: FakeBucket) -> None:
    keys = some_keys(bucket)
    first, again, other, another = (
        keys.token(*pair) for pair in ((ADA, "Kim"), (ADA, "Kim"), (ADA, "Jo"), (BOB, "Kim"))
    )
    assert first == again
    assert len({first, other, another}) == 3
    keys.save()
    assert keys.token(ADA, "Kim") == first
    assert some_keys(bucket).token(ADA, "Kim") != first


def test_no_object_has_a_text_in_it(bucket: FakeBucket) -> None:
    keys = some_keys(bucket)
    keys.token(ADA, "Ada Lovelace")
    keys.save()
    (page,) = bucket.objects.values()
    assert b"Lovelace" not in page
    assert [row[0] for row in json.loads(page)] == [ADA]


def test_nothing_new_is_nothing_to_save(bucket: FakeBucket) -> None:
    keys = some_keys(bucket)
    keys.save()
    keys.token(ADA, "Kim")
    keys.save()
    keys.token(ADA, "Jo")
    keys.save()
    assert len(bucket.objects) == 1


def test_whoever_is_forgotten_is_forgotten_in_all_pages_and_nobody_else(bucket: FakeBucket) -> None:
    tokens = {}
    for process in range(3):
        keys = some_keys(bucket)
        for customer in (ADA, BOB):
            tokens[process, customer] = keys.token(customer, "Kim")
        keys.save()
    assert objects_of(bucket).forget([ADA]) == 3
    assert {key: text_of(bucket, token) for key, token in tokens.items()} == {
        (process, customer): None if customer == ADA else "Kim" for process in range(3) for customer in (ADA, BOB)
    }
    assert objects_of(bucket).forget([ADA]) == 0
    assert ADA.encode() not in b"".join(bucket.objects.values())


@pytest.mark.parametrize("applied", [False, True], ids=["before", "applied"])
@pytest.mark.parametrize("call", range(1, 9))
def test_to_forget_is_safe_beside_who_forgets_and_who_saves_at_any_call(
    bucket: FakeBucket, call: int, applied: bool
) -> None:
    tokens: dict[tuple[object, str], str] = {}
    for page in range(2):
        keys = some_keys(bucket)
        tokens |= {(page, name): keys.token(name, "Kim") for name in (ADA, BOB, "customer-3")}
        keys.save()

    def meanwhile() -> None:
        objects_of(bucket).forget([BOB])
        other = some_keys(bucket)
        tokens["later", "customer-3"] = other.token("customer-3", "Kim")
        other.save()

    gate = Gate(call, meanwhile, applied=applied)
    objects_of(bucket, gate).forget([ADA])
    if gate.calls < call:
        meanwhile()
    assert {name for (_, name), token in tokens.items() if text_of(bucket, token)} == {"customer-3"}
    assert all(text_of(bucket, token) for (_, name), token in tokens.items() if name == "customer-3")


@pytest.mark.parametrize("call", range(1, 6))
def test_to_forget_once_more_ends_what_a_crash_left(bucket: FakeBucket, call: int) -> None:
    tokens = []
    for _ in range(2):
        keys = some_keys(bucket)
        tokens.append(keys.token(ADA, "Kim"))
        keys.save()

    def crash() -> None:
        raise Crash

    with suppress(Crash):
        objects_of(bucket, Gate(call, crash, applied=True)).forget([ADA])
    objects_of(bucket).forget([ADA])
    assert [text_of(bucket, token) for token in tokens] == [None, None]


def test_a_save_whose_answer_is_lost_is_made_again_and_brings_no_key_back(bucket: FakeBucket) -> None:
    keys = some_keys(bucket)
    token = keys.token(ADA, "Kim")
    bucket.lose_answer("put_object")
    with pytest.raises(ReadTimeoutError):
        keys.save()
    assert text_of(bucket, token) == "Kim"
    objects_of(bucket).forget([ADA])
    keys.save()
    assert text_of(bucket, token) is None


def test_a_save_that_fails_is_not_done(bucket: FakeBucket) -> None:
    keys = some_keys(bucket)
    first = keys.token(ADA, "Kim")
    bucket.fail("put_object", "SlowDown")
    with pytest.raises(ClientError):
        keys.save()
    second = keys.token(BOB, "Kim")
    keys.save()
    assert objects_of(bucket).texts([first, second]) == {first: "Kim", second: "Kim"}


def test_a_page_that_is_neither_there_nor_may_be_written_is_an_error(bucket: FakeBucket) -> None:
    keys = some_keys(bucket)
    keys.token(ADA, "Kim")
    bucket.fail("put_object", "ConditionalRequestConflict")
    with pytest.raises(WriteRefused):
        keys.save()
    keys.save()
    assert len(bucket.objects) == 1


def test_what_is_no_token_of_ours_is_nothing(bucket: FakeBucket) -> None:
    keys = some_keys(bucket)
    token = keys.token(ADA, "Kim")
    keys.save()
    page, row, sealed = token.split(".")
    tampered = f"{page}.{row}.{sealed[:-2]}{'A' if sealed[-2] != 'A' else 'B'}{sealed[-1]}"
    others = ["", "Kim", "a.b.c", "../../etc/passwd.0.x", f"{page}.7.{sealed}", tampered, f"{page}.{row}.é"]
    assert set(objects_of(bucket).texts(others).values()) == {None}


def test_a_key_is_given_up_before_its_counter_comes_round(bucket: FakeBucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(customer_keys, "_MOST_TOKENS", 8)
    keys = some_keys(bucket)
    tokens = [keys.token(ADA, f"text {number}") for number in range(40)]
    keys.save()
    assert list(objects_of(bucket).texts(tokens).values()) == [f"text {number}" for number in range(40)]
    nonces = {(token.split(".")[1], token.split(".")[2][:4]) for token in tokens}
    assert len(nonces) == 40


def test_few_customers_are_remembered_however_many_come(bucket: FakeBucket) -> None:
    objects = KeyObjects(Bucket(bucket.client, bucket.name))
    keys = CustomerKeys(objects, most=100)
    first = keys.token("0", "Kim")
    for number in range(1, 1000):
        keys.token(str(number), "Kim")
    assert len(keys._recent) + len(keys._older) <= 100
    assert keys.token("999", "Kim") == keys.token("999", "Kim")
    second = keys.token("0", "Kim")
    keys.save()
    assert second != first
    assert set(objects.texts([first, second]).values()) == {"Kim"}


@pytest.mark.slow
def test_what_one_thread_has_saved_can_be_read_whatever_the_others_do(bucket: FakeBucket) -> None:
    keys, failures = some_keys(bucket), []

    def work(name: int) -> None:
        for number in range(30):
            token = keys.token(f"{name}-{number}", "Kim")
            keys.save()
            if text_of(bucket, token) != "Kim":
                failures.append((name, number))

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len({row[0] for page in bucket.objects.values() for row in json.loads(page)}) == 120


def test_every_text_in_a_value_is_sealed_and_the_numbers_stay(bucket: FakeBucket) -> None:
    keys = some_keys(bucket)
    value = {"loyalty": 3, "vip": True, "note": "for Ada", "who": {"Ada": ["ada@example.com", 1.5, None]}}
    sealed = sealed_texts(value, lambda text: keys.token(ADA, text))
    keys.save()
    assert (sealed["loyalty"], sealed["vip"]) == (3, True)
    assert "Ada" not in json.dumps(sealed)
    assert sorted(str(text) for text in keys.objects.texts(tokens_in(sealed)).values()) == [
        "Ada",
        "ada@example.com",
        "for Ada",
    ]
