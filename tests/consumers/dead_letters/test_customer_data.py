"""No object of the lake and no dead letter has a customer's name or address in it, and `forget` is for good."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from analytics import assembly
from analytics.archiving.waiting import places
from analytics.lake import Lake, NoLake
from analytics.privacy.customer_keys import CustomerKeys
from analytics.privacy.pages import KeyObjects
from analytics.privacy.tokens import order_subject, tokens_in
from consumers import assembly as consumers
from consumers.archiver import Archiver
from consumers.dead_letters.forms import ForgottenLetter
from consumers.dead_letters.letters import dead_letter
from consumers.dead_letters.set_apart import SetsApart
from consumers.dead_letters.stored import S3DeadLetters, StoredLetter
from consumers.processing import ShardAssignment
from events.envelope import following
from events.orders import OrderPlaced
from events.timeline import seen
from events.wire import encode
from foundation.bucket import Bucket
from foundation.clock import SYSTEM_CLOCK
from foundation.kinesis.records import Record, Sentinel
from producers import assembly as producers
from producers.load.ledger import LedgerWriter, expected_events
from producers.orders.commands import Order, Performed, perform, place
from takeaway import cli
from takeaway.commands.lake import customers
from takeaway.local.aws import local_environ
from takeaway.stack.stores import STORES
from tests.events.test_timeline import PLACED, at
from tests.producers.orders.test_commands import ACCEPT, PLACE, REJECT
from tests.support.builders import (
    NOON,
    a_batch,
    a_record,
    an_envelope,
    an_order_accepted,
    an_order_completed,
    an_order_placed,
)
from tests.support.fakes.bucket import FakeBucket
from tests.support.fakes.orders import FakeOrders
from tests.support.fakes.tracker_table import FakeTrackerTable
from tests.support.worlds.lake_world import SHARD, STREAM, World, some_keys

ZAPHOD = {"customer_id": "customer-7", "customer_name": "Zaphod Beeblebrox", "customer_email": "zaphod@heart.example"}
ADA = {"customer_id": "customer-1", "customer_name": "Ada Lovelace", "customer_email": "ada@example.com"}
SEEDED = (b"zaphod", b"beeblebrox", b"heart.example", b"lovelace", b"ada@example", b"trillian")


def personal(of: dict[str, str], order_id: str) -> Iterator[bytes]:
    """Events about a customer, and records that are none, with the name and the address wherever one might put them."""
    placed = an_envelope(an_order_placed(**of), order_id=order_id)
    accepted = following(placed, an_order_accepted(**of), occurred_at=NOON, producer="restaurant")
    completed = following(
        accepted, an_order_completed(customer_id=of["customer_id"]), occurred_at=NOON, producer="restaurant"
    )
    name, email = of["customer_name"], of["customer_email"]
    extra = {
        "note": f"for {name}, at the back door",
        "contact": {"mail": [email, {"who": name}], name: 1, email: 2, "floor": 3},
        "friend": "Trillian",
    }
    more = json.loads(encode(completed)) | extra
    item = json.loads(encode(placed)) | {"event_id": f"{order_id}-item"}
    item["items"][0] |= {"engraving": f"to {name}"}
    yield encode(placed)
    yield encode(accepted)
    yield json.dumps(more).encode()
    yield json.dumps(item).encode()
    yield encode(placed).replace(b'"total":1900', b'"total":"Trillian"')
    yield f"torn {name} {email}".encode()


class Scene:
    """An archiver's objects, and a notifier's letter that quotes a customer."""

    def __init__(self) -> None:
        self.lake = World()
        self.letters_bucket, self.keys_bucket = FakeBucket("dead-letters"), FakeBucket("customer-keys")
        keys = some_keys(self.keys_bucket)
        self.archiver = Archiver(
            ShardAssignment(STREAM, SHARD, Sentinel.TRIM_HORIZON),
            sink=self.lake.sink(keys=keys),
            keys=keys,
            apart=SetsApart("archiver", self.letters, clock=self.lake.clock.clock, emit=self.lake.diagnostics.append),
            clock=self.lake.clock.clock,
        )
        bodies = [
            (order, body) for of, order in ((ZAPHOD, "order-7"), (ADA, "order-1")) for body in personal(of, order)
        ]
        records = [a_record(number, data=body, order_id=order) for number, (order, body) in enumerate(bodies, start=1)]
        self.archiver.process(a_batch(*records))
        self.archiver.flush()
        self.letters.put(self._of_a_step(records[0]))

    @property
    def letters(self) -> S3DeadLetters:
        """As another process has them."""
        return S3DeadLetters(self.letters_bucket.client, self.letters_bucket.name, some_keys(self.keys_bucket))

    @property
    def keys(self) -> KeyObjects:
        return KeyObjects(Bucket(self.keys_bucket.client, self.keys_bucket.name))

    def rows(self) -> list[dict[str, Any]]:
        paths = [added.path for commit in self.lake.log.commits for added in commit.files]
        return [row for path in paths for row in _table(self.lake.bucket.objects[f"events/{path}"]).to_pylist()]

    def texts(self, customer_id: str) -> list[str | None]:
        """What the tokens in this customer's rows stand for."""
        found: list[str] = []
        for row in self.rows():
            if row["customer_id"] == customer_id:
                extra = json.loads(row["_extra"] or "{}")
                found += tokens_in([row["customer_name_token"], row["customer_email_token"], extra])
        return list(self.keys.texts(found).values())

    def read_letters(self) -> list[Any]:
        return [found for _, found in self.letters.read_all(self.letters.keys())]

    def _of_a_step(self, record: Record) -> Any:
        error = ValueError("nobody at zaphod@heart.example")
        return dead_letter(
            consumer="user_notifier",
            stream=STREAM,
            shard_id=SHARD,
            record=record,
            failed_at=NOON,
            attempts=5,
            error=error,
        )


def _table(body: bytes) -> pa.Table:
    return pq.read_table(pa.BufferReader(body))


@pytest.fixture
def scene() -> Scene:
    return Scene()


def all_that_can_be_read(scene: Scene) -> Iterator[bytes]:
    """Every object as it lies there, and each Parquet file's values, statistics and footer in plain."""
    for bucket in (scene.lake.bucket, scene.letters_bucket, scene.keys_bucket):
        for key, body in bucket.objects.items():
            yield key.encode() + body
            if key.endswith(".parquet"):
                yield repr(_table(body).to_pylist()).encode()
                metadata = pq.read_metadata(pa.BufferReader(body))
                yield repr(metadata.to_dict()).encode()
                yield repr(metadata.metadata).encode()


def test_no_object_has_a_customers_name_or_address(scene: Scene) -> None:
    assert len(scene.rows()) == 8
    assert len(scene.letters_bucket.objects) == 5
    whole = b"\n".join(all_that_can_be_read(scene)).lower()
    assert [name for name in SEEDED if name in whole] == []
    assert b"margherita" in whole  # so the search would have found them
    assert "Zaphod" not in repr(scene.lake.diagnostics)


def test_who_may_read_the_keys_reads_it_all(scene: Scene) -> None:
    texts = scene.texts("customer-7")
    for text in ("Zaphod Beeblebrox", "zaphod@heart.example", "Trillian", "for Zaphod Beeblebrox, at the back door"):
        assert text in texts
    letters = [found.letter for found in scene.read_letters() if isinstance(found, StoredLetter)]
    assert len(letters) == 5
    assert any(b"torn Zaphod" in letter.payload for letter in letters)
    assert any(letter.error == "ValueError: nobody at zaphod@heart.example" for letter in letters)


def test_unknown_fields_are_kept_with_their_shape(scene: Scene) -> None:
    (extra,) = [row["_extra"] for row in scene.rows() if row["event_type"] == "order_completed"][:1]
    value = json.loads(extra)
    assert value["contact"]["floor"] == 3
    assert scene.keys.texts([value["note"]])[value["note"]] == "for Zaphod Beeblebrox, at the back door"
    items = [json.loads(row["_extra"])["items"] for row in scene.rows() if row["event_id"] == "order-7-item"]
    assert list(scene.keys.texts([items[0][0]["engraving"]]).values()) == ["to Zaphod Beeblebrox"]


class _OrdersOf:
    """What `lake forget` asks of the lake."""

    def __init__(self, scene: Scene) -> None:
        self._rows = scene.rows()

    def dataset(self) -> Any:
        return self

    def to_table(self, **_: Any) -> pa.Table:
        return pa.table({"order_id": [row["order_id"] for row in self._rows if row["customer_id"] == "customer-7"]})


def orders_of_two_customers() -> FakeOrders:
    """One that is over and one under way of the customer who is forgotten, and one of another's that is over."""
    orders = FakeOrders()
    for customer_id, key, commands in (
        ("customer-7", "key-1", [REJECT]),
        ("customer-7", "key-2", [ACCEPT]),
        ("customer-1", "key-1", [REJECT]),
    ):
        order = place(PLACE, customer_id=customer_id, idempotency_key=key, at=SYSTEM_CLOCK.now())
        assert isinstance(order, Order)
        order = orders.create(order)
        for command in commands:
            performed = perform(command, order, subject="restaurant-1", idempotency_key=None, at=SYSTEM_CLOCK.now())
            assert isinstance(performed, Performed)
            order = orders.advance(order, performed)
        for performed in order.history:
            orders.note_acknowledged(order, performed)
    return orders


@pytest.mark.slow
def test_a_forgotten_customer_is_unreadable_everywhere_and_the_others_are_not(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = dict(scene.lake.bucket.objects)
    monkeypatch.setattr(customers, "resolved", lambda: local_environ("http://127.0.0.1:4566"))
    monkeypatch.setattr(assembly, "customer_keys", lambda _environ: CustomerKeys(scene.keys))
    monkeypatch.setattr(Lake, "from_environment", lambda _environ: _OrdersOf(scene))
    orders = orders_of_two_customers()
    monkeypatch.setattr(producers, "orders_table", lambda _environ: orders)
    tracked = FakeTrackerTable()
    monkeypatch.setattr(producers, "tracked_orders", lambda _environ: tracked.orders())
    for customer_id in ("customer-7", "customer-1"):
        for order in orders.of_customer(customer_id):
            noted = msgspec.structs.replace(at(1, PLACED), customer_id=customer_id)
            tracked.orders().join(order.order_id, seen([noted]))
    forgotten = list[str]()

    def forget_states(_environ: Any, key: str) -> int:
        forgotten.append(key)
        return 1

    monkeypatch.setattr(consumers, "forget_states", forget_states)
    monkeypatch.setattr(customers, "HOME", tmp_path)
    with LedgerWriter(tmp_path / "ledger", "customers") as writer:
        writer.intend(
            expected_events(
                OrderPlaced, "k", order_id="o", restaurant_id="r", customer_id="customer-7", intended_at=NOON
            )
        )
    token = next(row["customer_name_token"] for row in scene.rows() if row["customer_name_token"])
    assert CliRunner().invoke(cli.app, ["lake", "resolve", token]).stdout == "Zaphod Beeblebrox\n"

    done = CliRunner().invoke(cli.app, ["lake", "forget", "customer-7", "--json"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["keys_dropped"] >= 2
    assert (told["orders"], told["orders_removed"], told["ledger_places"]) == (3, 1, 2)
    [under_way] = told["orders_under_way"]
    assert [order.order_id for order in orders.of_customer("customer-7")] == [under_way]
    assert len(orders.of_customer("customer-1")) == 1
    assert told["orders_untracked"] == 1
    assert (told["states_removed"], forgotten) == (1, ["customer-7"])
    assert set(tracked.items) == {under_way, *(order.order_id for order in orders.of_customer("customer-1"))}
    assert {left["store"] for left in told["left"]} == {store.name for store in STORES if store.is_left}
    assert "customer-7" not in (tmp_path / "ledger" / "customers.jsonl").read_text()

    assert set(scene.texts("customer-7")) == {None}
    assert "Ada Lovelace" in scene.texts("customer-1")
    assert None not in scene.texts("customer-1")
    found = scene.read_letters()
    assert [type(one) for one in found].count(ForgottenLetter) == 3
    assert {one.letter.partition_key for one in found if isinstance(one, StoredLetter)} == {"order-1"}
    assert "its customer was forgotten" in str(next(one for one in found if isinstance(one, ForgottenLetter)))
    assert scene.lake.bucket.objects == before
    asked = CliRunner().invoke(cli.app, ["lake", "resolve", token])
    assert (asked.exit_code, asked.stdout) == (1, "(no key for it, or no longer)\n")
    again = CliRunner().invoke(cli.app, ["lake", "forget", "customer-7"])
    assert again.stdout.splitlines()[:6] == [
        "0 keys dropped, of customer-7 and 2 orders: unreadable in the lake and in dead letters",
        "0 orders removed from the orders table",
        "0 orders removed from the tracker's",
        "1 state of subscribers removed",
        f"1 order under way, kept until you forget again: {under_way}",
        "left:",
    ]
    assert "\n  Stream: events, with name and address; the stream's retention." in again.stdout


def test_whoever_comes_back_after_being_forgotten_is_a_customer_again(scene: Scene) -> None:
    scene.keys.forget(["customer-7", order_subject("order-7")])
    keys = some_keys(scene.keys_bucket)
    token = keys.token("customer-7", "Zaphod Beeblebrox")
    keys.save()
    assert list(scene.keys.texts([token]).values()) == ["Zaphod Beeblebrox"]


def test_keys_that_cannot_be_saved_keep_the_rows_out_of_sight(scene: Scene) -> None:
    keys_bucket = FakeBucket("customer-keys")
    keys = some_keys(keys_bucket)
    lake = World()
    shard = lake.sink(keys=keys).open(SHARD)
    keys.token("customer-7", "Zaphod")
    keys_bucket.fail("put_object", "SlowDown")
    rows = _table(next(body for key, body in scene.lake.bucket.objects.items() if key.endswith(".parquet")))
    shard.append(rows, after=None, upto=places(rows)[-1])
    with pytest.raises(Exception, match="SlowDown"):
        shard.flush()
    assert lake.log.commits == []
    shard.flush()
    assert len(lake.archived()) == rows.num_rows


@pytest.mark.slow
def test_who_has_no_lake_yet_can_still_be_forgotten(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def nothing(_environ: Any) -> Lake:
        raise NoLake("no lake")

    keys = some_keys()
    keys.token("customer-7", "Zaphod")
    keys.save()
    monkeypatch.setattr(customers, "resolved", lambda: local_environ("http://127.0.0.1:4566"))
    monkeypatch.setattr(assembly, "customer_keys", lambda _environ: keys)
    monkeypatch.setattr(Lake, "from_environment", nothing)
    monkeypatch.setattr(customers, "require_log", lambda _environ: None)
    monkeypatch.setattr(producers, "orders_table", lambda _environ: FakeOrders())
    monkeypatch.setattr(producers, "tracked_orders", lambda _environ: FakeTrackerTable().orders())
    monkeypatch.setattr(customers, "HOME", tmp_path)
    done = CliRunner().invoke(cli.app, ["lake", "forget", "customer-7"])
    assert done.stdout.startswith("1 key dropped, of customer-7 and 0 orders: ")
