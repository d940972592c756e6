"""Letters as they are read: whatever lies among them is a letter or is named with a fix, and hides no other."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.dead_letters import stored as stored_module
from consumers.dead_letters.causes import cause_of
from consumers.dead_letters.forms import FORMAT, NoLetter, Unreadable, written
from consumers.dead_letters.stored import StoredLetter, kind_of
from consumers.processing import Unprocessable
from foundation.bucket import Bucket
from tests.support.corpus import any_bytes, any_json
from tests.support.fakes.bucket import FakeBucket
from tests.support.worlds.redrive_world import World, a_letter

KEY = a_letter(1).key


@pytest.fixture
def world() -> World:
    world = World()
    world.put(a_letter(1), a_letter(2))
    return world


def changed(world: World, **changes: Any) -> bytes:
    fields = json.loads(world.bucket.objects[KEY])
    return json.dumps({name: value for name, value in (fields | changes).items() if value != "DROP"}).encode()


def test_what_is_no_letter_hides_no_other_and_is_named_with_why_and_what_to_do(world: World) -> None:
    bodies = {
        "no JSON": b"hello",
        "empty": b"",
        "no UTF-8": b'{"consumer": "\xff"}',
        "nested deep": b'{"consumer":' + b"[" * 100_000,
        "a list": b"[]",
        "another schema": b'{"consumer": "archiver"}',
        "a number that is none": changed(world, sequence_number="12x"),
        "a number of another alphabet": changed(world, sequence_number="\u0661"),
        "a huge one": changed(world, sequence_number="1" * 5000),
        "a naive time": changed(world, failed_at="2026-03-14T12:00:00"),
        "a year that UTC has not": changed(world, arrived_at="0001-01-01T00:00:00+14:00"),
        "the last moment of all": changed(world, arrived_at="9999-12-31T23:59:59.999999Z"),
        "a naive claim": changed(world, claim={"by": "x", "until": "2026-03-14T12:00:00"}),
        "no token": changed(world, sealed="x"),
        "a token with a huge row": changed(world, sealed=f"{'a' * 16}.{'1' * 5000}.x"),
        "a token of no alphabet": changed(world, sealed=f"{'a' * 16}.1.\u00e9"),
        "another's": world.bucket.objects[a_letter(2).key],
        "a later release's": changed(world, format=FORMAT + 1, attempts="many"),
    }
    for name, body in bodies.items():
        world.bucket.objects[KEY] = body
        found = dict(world.letters.read_all([KEY, "gone", a_letter(2).key]))
        assert list(found) == [KEY, a_letter(2).key], name
        unreadable, other = found.values()
        assert isinstance(unreadable, NoLetter), name
        assert KEY in str(unreadable), name
        assert ". fix: " in str(unreadable), name
        assert isinstance(other, StoredLetter), name


def test_an_object_that_is_larger_than_any_letter_is_not_read(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored_module, "MOST_BYTES", len(world.bucket.objects[KEY]) - 1)
    found = world.letters.look(KEY)
    assert isinstance(found, NoLetter)
    assert "bytes. fix: `takeaway dlq drop`" in str(found)


def test_one_that_may_not_be_read_hides_no_other(world: World) -> None:
    world.bucket.fail("get_object", "AccessDenied")
    found = [world.letters.look(key) for key in (KEY, a_letter(2).key)]
    assert [type(one) for one in found] == [NoLetter, StoredLetter]


def test_a_page_of_keys_that_is_damaged_or_denied_hides_only_its_letters(world: World) -> None:
    keys: Any = world.keys.objects
    pages: FakeBucket = keys._bucket._client
    pages.fail("get_object", "AccessDenied")
    denied = world.letters.look(KEY)
    assert isinstance(denied, NoLetter)
    assert "allow this identity to read the stack's bucket of customers' keys" in denied.fix
    for page in list(pages.objects):
        pages.objects[page] = b"{"
    assert isinstance(world.letters.look(KEY), NoLetter)


def test_what_a_later_release_wrote_into_a_letter_stays_there_through_a_redrive_that_fails(world: World) -> None:
    world.bucket.objects[KEY] = changed(world, verdict="suspected", compared={"keys": [1, "a"]})
    found = world.letters.look(KEY)
    assert isinstance(found, StoredLetter)
    assert found.letter == replace(a_letter(1), verdict="suspected")
    world.errors["order-1"] = ValueError("still")
    world.redrive(of=[KEY])
    told = json.loads(world.bucket.objects[KEY])
    assert (told["attempts"], told["compared"]) == (6, {"keys": [1, "a"]})


def test_a_letter_of_an_earlier_release_is_read(world: World) -> None:
    world.bucket.objects[KEY] = changed(world, cause="DROP", verdict="DROP", format="DROP")
    found = world.letters.look(KEY)
    assert isinstance(found, StoredLetter)
    assert found.letter == replace(a_letter(1), cause="", verdict=None)


@given(st.one_of(any_bytes, any_json))
def test_any_bytes_are_a_letter_or_unreadable(body: bytes) -> None:
    with pytest.raises(Unreadable):
        written(body)


@pytest.mark.slow
@given(st.data())
def test_a_letter_with_anything_in_a_field_is_a_letter_or_no_letter(data: st.DataObject) -> None:
    world = World()
    world.put(a_letter(1))
    fields = {name: json.dumps(value).encode() for name, value in json.loads(world.bucket.objects[KEY]).items()}
    fields[data.draw(st.sampled_from(sorted(fields)))] = data.draw(any_json)
    pairs = [json.dumps(name).encode() + b":" + raw for name, raw in fields.items()]
    world.bucket.objects[KEY] = b"{" + b",".join(pairs) + b"}"
    found = world.letters.look(KEY)
    assert isinstance(found, StoredLetter | NoLetter)
    bucket = Bucket(world.bucket.client, world.bucket.name)
    if isinstance(found, StoredLetter):
        assert kind_of(bucket, KEY) is not None


@pytest.mark.slow
@given(any_json)
def test_a_sealed_part_of_anything_is_a_letter_or_no_letter(inside: bytes) -> None:
    world = World()
    world.put(a_letter(1))
    fields = json.loads(world.bucket.objects[KEY])
    fields["sealed"] = world.keys.token("customer-1", inside.decode())
    world.keys.save()
    world.bucket.objects[KEY] = json.dumps(fields).encode()
    assert isinstance(world.letters.look(KEY), NoLetter)


def raised(error: Exception, because_of: Exception | None = None) -> Exception:
    try:
        raise error from because_of
    except type(error) as caught:
        return caught


def refused(code: str) -> Exception:
    return raised(FakeBucket().error("get_object", code, f"words about order-{code}"))


def test_a_cause_is_the_class_the_services_code_and_where_it_was_raised() -> None:
    assert cause_of(raised(ValueError("order-1"))) == cause_of(raised(ValueError("order-2")))
    assert cause_of(refused("MessageRejected")) != cause_of(refused("Throttling"))
    codes = [cause_of(raised(Unprocessable("order-7"), refused(code))) for code in ("MessageRejected", "Invalid")]
    assert [cause.text for cause in codes] == [
        f"Unprocessable {code} in {__name__}.raised" for code in ("MessageRejected", "Invalid")
    ]
    assert codes[0].short != codes[1].short
    assert cause_of(refused("ada@example.com")).text == f"ClientError in {__name__}.raised"


def parsed(text: str) -> Exception:
    with pytest.raises(ValueError, match="Expecting") as caught:
        json.loads(text)
    return caught.value


def test_a_cause_is_in_our_own_code_however_deep_a_library_raises() -> None:
    assert cause_of(parsed("{")).text == f"JSONDecodeError in {__name__}.parsed"
