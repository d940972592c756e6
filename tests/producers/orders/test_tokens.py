"""Tokens open what they should, until they expire, and nothing else does."""

import base64
import json
from datetime import timedelta

import pytest

from producers.orders.tokens import (
    Admission,
    ExpiredToken,
    MalformedToken,
    Principal,
    TokenError,
    TokenKey,
    WrongSignature,
)
from tests.support.builders import NOON

KEY = TokenKey(b"k" * 32)
TOKEN = KEY.sign("customer-1", "customer", NOON)
BEFORE = NOON - timedelta(microseconds=1)


def test_a_token_stands_for_whom_it_was_signed() -> None:
    customer = Principal(subject="customer-1", role="customer")
    assert KEY.verify(TOKEN, BEFORE) == Admission(principal=customer, until=NOON)


def test_a_token_is_over_at_its_time() -> None:
    with pytest.raises(ExpiredToken):
        KEY.verify(TOKEN, NOON)


def test_another_key_opens_nothing() -> None:
    with pytest.raises(WrongSignature):
        TokenKey(b"j" * 32).verify(TOKEN, BEFORE)


@pytest.mark.parametrize("place", range(len(TOKEN)))
def test_no_character_can_be_changed(place: int) -> None:
    changed = "A" if TOKEN[place] != "A" else "B"
    with pytest.raises(TokenError):
        KEY.verify(TOKEN[:place] + changed + TOKEN[place + 1 :], BEFORE)


def test_claims_cannot_be_swapped_under_a_signature() -> None:
    claims = {"subject": "restaurant-1", "role": "operator", "expires_at": NOON.isoformat()}
    forged = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    with pytest.raises(WrongSignature):
        KEY.verify(f"{forged}.{TOKEN.partition('.')[2]}", BEFORE)


@pytest.mark.parametrize("text", ["", ".", "garbage", "a.", ".b", "ä.ö", "a.b.c", "\x00.\x00", "é" * 1000])
def test_garbage_is_no_token(text: str) -> None:
    with pytest.raises(TokenError):
        KEY.verify(text, BEFORE)


@pytest.mark.parametrize("claims", [b"{}", b"not json", b'{"subject":"x","role":"king","expires_at":"2030-01-01"}'])
def test_signed_by_us_but_no_claims_is_malformed(claims: bytes) -> None:
    text = base64.urlsafe_b64encode(claims).decode().rstrip("=")
    with pytest.raises(MalformedToken):
        KEY.verify(f"{text}.{KEY._signature(text)}", BEFORE)


def test_a_short_key_is_refused_and_no_key_is_ever_shown() -> None:
    with pytest.raises(ValueError, match="at least 32 bytes") as refused:
        TokenKey(b"short")
    assert "short" not in str(refused.value)
    assert "kkk" not in repr(KEY)
