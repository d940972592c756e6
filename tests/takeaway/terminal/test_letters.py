"""Dead letters for people: groups of one cause, payloads in words or in hex, and nobody's name or address."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given

from consumers.dead_letters.letters import Claim, DeadLetter
from consumers.dead_letters.stored import Dropped, StoredLetter
from events.wire import encode
from takeaway.terminal.letters import GroupBy, by_record, event_type, facts, grouped
from takeaway.terminal.masking import masked
from takeaway.terminal.payloads import hex_and_text, payload
from tests.support.builders import NOON, an_envelope
from tests.support.corpus import GARBAGE, MEBIBYTE, ODD, any_record, large
from tests.support.worlds.redrive_world import SHARD, a_letter

LATER = NOON + timedelta(hours=2)
BROKEN = a_letter(2, data=b'{"event_type":"order_placed","customer_name":"Ada Lovel')


def stored(letter: DeadLetter, dropped: Dropped | None = None) -> StoredLetter:
    return StoredLetter(letter, "etag", "sealed", dropped)


def failed(error: Exception) -> Exception:
    try:
        raise error
    except type(error) as raised:
        return raised


def test_errors_are_grouped_by_what_they_are_and_where_they_come_from() -> None:
    closed = [replace(a_letter(n, error=failed(KeyError(n))), failed_at=NOON + timedelta(n)) for n in (1, 3)]
    rows = grouped([*closed, BROKEN], GroupBy.ERROR)
    assert closed[0].error != closed[1].error
    assert rows[0] == {
        "error": "ours KeyError in tests.takeaway.terminal.test_letters.failed",
        "stack_hash": closed[0].stack_hash,
        "consumers": ["restaurant_notifier"],
        "says": "KeyError: 1",
        "records": 2,
        "first": NOON + timedelta(1),
        "last": NOON + timedelta(3),
        "example": f"orders/{SHARD}/1-0",
    }
    assert [row["records"] for row in rows] == [2, 1]


def test_a_record_that_several_consumers_set_apart_is_one_in_every_listing() -> None:
    consumers = ("archiver", "restaurant_notifier", "user_notifier")
    letters = [a_letter(n, consumer=consumer, data=b"{") for n in (1, 2, 3) for consumer in consumers]
    letters.append(a_letter(4, consumer="archiver", data=b"{", attempts=9))
    (both, alone) = grouped(letters, GroupBy.ERROR)
    assert (both["records"], both["consumers"]) == (3, list(consumers))
    assert (alone["records"], alone["consumers"]) == (1, ["archiver"])
    rows = by_record(map(stored, letters), LATER)
    assert [(row["key"], row["consumers"]) for row in rows] == [
        *((f"orders/{SHARD}/{n}-0", list(consumers)) for n in (1, 2, 3)),
        (f"orders/{SHARD}/4-0", ["archiver"]),
    ]
    assert [row["attempts"] for row in rows] == [5, 5, 5, 9]
    assert [row["records"] for row in grouped(letters, GroupBy.SHARD)] == [4]


@pytest.mark.parametrize(
    ("by", "names"),
    [
        (GroupBy.CONSUMER, {"archiver", "restaurant_notifier"}),
        (GroupBy.SHARD, {f"orders {SHARD}", "orders shard-b"}),
        (GroupBy.EVENT_TYPE, {"order_placed", "none that can be read"}),
    ],
)
def test_groups_by_anything_else(by: GroupBy, names: set[str]) -> None:
    letters = [a_letter(1), a_letter(2, consumer="archiver", shard_id="shard-b", data=b"\x00")]
    assert {row[by.value] for row in grouped(letters, by)} == names


def test_a_letters_facts_are_its_place_its_age_and_its_error() -> None:
    letter = a_letter(7, error=ValueError("nobody called ada@example.com"))
    told = facts(stored(letter), LATER)
    assert told["key"] == f"restaurant_notifier/orders/{SHARD}/7-0.json"
    assert (told["age_seconds"], told["attempts"], told["event_type"]) == (7200, 5, "order_placed")
    assert told["error"] == "ValueError: nobody called ***************"
    assert told["claimed_until"] is None
    claimed = replace(letter, claim=Claim("redrive-1", LATER + timedelta(seconds=1)))
    assert facts(stored(claimed), LATER)["claimed_until"] == LATER + timedelta(seconds=1)
    assert facts(stored(claimed), LATER + timedelta(seconds=1))["claimed_until"] is None


def test_an_event_is_shown_as_what_it_says_without_customers() -> None:
    shown = payload(a_letter(1).payload, raw=False)
    assert isinstance(shown, dict)
    assert shown["order_id"] == "order-1"
    assert shown["items"][0]["name"] == "Margherita"
    assert set(shown["customer_name"] + shown["customer_email"]) == {"*"}
    raw = payload(a_letter(1).payload, raw=True)
    assert isinstance(raw, dict)
    assert raw["customer_name"] == "Ada Lovelace"


@pytest.mark.parametrize(
    "data",
    [
        encode(an_envelope()),
        encode(an_envelope())[:-40],
        json.dumps(json.loads(encode(an_envelope())), indent=1).encode(),
        json.dumps(json.loads(encode(an_envelope()))).encode("utf-16"),
        b'{"customer\\u005fname": "Ada Love\\u006cace", "mail": "ada\\u0040example.com"}',
        b'{"customer_name": "Ada \\"Lovelace', # cut short
        b"From: <ada@example.com>\xff",
    ],
)  # fmt: skip
def test_no_customer_shows_in_any_payload(data: bytes) -> None:
    letter = a_letter(1, data=data)
    told = json.dumps([payload(letter.payload, raw=False), facts(stored(letter), LATER)], default=str)
    for secret in ("Ada", "Lovelace", "ada@", "example.com", b"Ada".hex(" "), b"ada@".hex(" ")):
        assert secret not in told, told


def test_what_is_masked_keeps_its_length_so_that_places_in_it_stay_true() -> None:
    whole = encode(an_envelope())
    assert len(masked(whole)) == len(whole)


def test_bytes_that_are_no_event_are_shown_in_hex_beside_their_text() -> None:
    assert payload(b"\x00\x01not an event at all", raw=False) == (
        "00000000  00 01 6e 6f 74 20 61 6e 20 65 76 65 6e 74 20 61  |..not an event a|\n"
        "00000010  74 20 61 6c 6c                                   |t all|"
    )
    assert hex_and_text(b"") == ""
    assert isinstance(payload(b"[1]", raw=False), str)


def listed(letter: DeadLetter) -> str:
    """All that any command says of it, as JSON that others parse, or as text."""
    inside = payload(letter.payload, raw=False)
    shown = inside if isinstance(inside, str) else json.dumps(inside, indent=2, allow_nan=False)
    rows = [facts(stored(letter), LATER), *by_record([stored(letter)], LATER), *grouped([letter], GroupBy.EVENT_TYPE)]
    return shown + json.dumps(rows, default=str, allow_nan=False)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*GARBAGE, *ODD])
def test_anything_that_arrives_is_shown_in_characters_that_a_terminal_does_not_obey(name: str) -> None:
    for data in ({**GARBAGE, **ODD}[name], {**GARBAGE, **ODD}[name][::-1]):
        told = listed(a_letter(1, data=data))
        assert all(one == "\n" or one.isprintable() for one in told)


@pytest.mark.slow
@given(any_record)
def test_any_record_is_shown(data: bytes) -> None:
    assert listed(a_letter(1, data=data))


@pytest.mark.slow
def test_a_large_record_is_shown_and_its_error_listed_in_short() -> None:
    for data in large(MEBIBYTE).values():
        letter = a_letter(1, data=data, error=ValueError(data.decode()))
        assert len(by_record([stored(letter)], LATER)[0]["error"]) < 1000
        assert b"@" not in masked(data)
        assert listed(letter)


@pytest.mark.parametrize(
    "text", ['z@abc\\","order_id":"', "\\\\x@y", 'a"b@c', "\u0000@\u2028", "x@", "@x", "ada@example.com", '"@"']
)
def test_masking_a_text_changes_no_other_field(text: str) -> None:
    fields = {"note": text, "order_id": "order-1", "customer_name": [text, {text: text}]}
    shown = payload(json.dumps(fields).encode(), raw=False)
    assert isinstance(shown, dict)
    assert shown.keys() == fields.keys()
    assert shown["order_id"] == "order-1"
    assert len(shown["note"]) == len(text)
    assert shown["customer_name"] == ["*" * len(text), {"*" * len(text): "*" * len(text)}]


def test_a_name_that_is_there_twice_is_shown_in_hex_with_both() -> None:
    shown = payload(b'{"a": 1, "a": 2}', raw=False)
    assert "22 61 22 3a 20 31" in str(shown)


@pytest.mark.parametrize("data", [b"", b"[" * 100_000, b'{"event_type": 7}', b"\xff\xfe", b"null"])
def test_a_payload_of_any_kind_has_a_type_or_none(data: bytes) -> None:
    letter = a_letter(1, data=data)
    assert event_type(letter) is None
    assert payload(letter.payload, raw=False) is not None
