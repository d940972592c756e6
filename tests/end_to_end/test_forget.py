"""A scan of all that a flow leaves behind, for a marked customer, before `takeaway lake forget` and after it."""

import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pyarrow.parquet as pq
import pytest

from analytics.assembly import customer_keys
from analytics.lake import Lake, NoLake
from analytics.privacy.tokens import tokens_in
from consumers.dead_letters.stored import S3DeadLetters, StoredLetter
from events.orders import EVENT_TYPES
from events.states import FINAL, FINAL_EVENTS
from foundation import aws
from producers.assembly import tracked_orders
from producers.load.ledger import read_ledger
from takeaway.local.aws import free_port
from takeaway.stack import resolved
from tests.support.command_line import Takeaway
from tests.support.dynamodb import table_names
from tests.support.flow import pause, until
from tests.support.tables import Tables

pytestmark = pytest.mark.end_to_end

PROMISE = 60
ZAPHOD = {"id": "customer-zaphod-7", "name": "Zaphod Beeblebrox", "email": "zaphod@heart.example"}
ADA = {"id": "customer-ada-1", "name": "Ada Lovelace", "email": "ada@engine.example"}
TABLE = "places in which a customer is found: what is forgotten, before and after"

# What a store may still have of a forgotten customer, by its name in the scan; nothing in all others. The id is a
# pseudonym in the lake. The stream, and mails that were sent, are told by `forget` itself.
LEFT = {"lake, as it lies": {"id"}, "outcomes": {"id"}, "stream": {"id", "name", "email"}, "mails": {"name", "email"}}


def place(api: str, token: str, customer: Mapping[str, str], key: str) -> str:
    body = {
        "restaurant_id": "restaurant-01",
        "customer_name": customer["name"],
        "customer_email": customer["email"],
        "items": [{"sku": "sku-1", "name": "Margherita", "quantity": 1, "unit_price": 950}],
        "currency": "EUR",
        "city": "Utrecht",
    }
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": key}
    answer = httpx.post(f"{api}/orders", json=body, headers=headers, timeout=30)
    answer.raise_for_status()
    return str(answer.json()["order_id"])


class Scan:
    """Every artefact of a stack and of its folder, as text by store."""

    def __init__(self, environ: dict[str, str], home: Path) -> None:
        self._environ = environ
        self._home = home

    def client(self, service: str) -> Any:
        return aws.client(service, self._environ)

    def of(self, customer: Mapping[str, str]) -> dict[str, set[str]]:
        """The customer's marks that are found in each store."""
        found: dict[str, set[str]] = {}
        for store, text in self._texts():
            marks = found.setdefault(store, set())
            marks |= {kind for kind, mark in customer.items() if mark.encode() in text}
        return found

    def _texts(self) -> Iterator[tuple[str, bytes]]:
        yield from self._buckets()
        yield from self._with_the_keys()
        for table in table_names(self.client("dynamodb")):
            for page in self.client("dynamodb").get_paginator("scan").paginate(TableName=table):
                yield self._of_table(table), repr(page["Items"]).encode()
        for path in sorted(self._home.rglob("*")):
            if path.is_file():
                yield f".takeaway/{path.relative_to(self._home).parts[0]}", path.read_bytes()
        yield "stream", b"".join(self._records())
        for page in ("/_ministack/ses/messages", "/_aws/ses"):
            answer = httpx.get(self._environ["AWS_ENDPOINT_URL"] + page, timeout=30)
            yield "mails", answer.content if answer.is_success else b""

    def _of_table(self, table: str) -> str:
        known = {
            self._environ[f"TAKEAWAY_{name.upper()}_TABLE"]: name
            for name in ("orders", "outcomes", "tracker", "states")
        }
        return known.get(table, "lease tables")

    def _buckets(self) -> Iterator[tuple[str, bytes]]:
        for variable, store in (
            ("TAKEAWAY_LAKE_BUCKET", "lake, as it lies"),
            ("TAKEAWAY_DEAD_LETTER_BUCKET", "letters, as they lie"),
            ("TAKEAWAY_CUSTOMER_KEY_BUCKET", "keys"),
        ):
            for key, body in self._objects(self._environ[variable]):
                yield store, key.encode() + body
                if key.endswith(".parquet"):
                    yield store, repr(pq.read_table(io.BytesIO(body)).to_pylist()).encode()

    def _objects(self, bucket: str) -> Iterator[tuple[str, bytes]]:
        for page in self.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket):
            for entry in page.get("Contents", []):
                yield entry["Key"], self.client("s3").get_object(Bucket=bucket, Key=entry["Key"])["Body"].read()

    def _with_the_keys(self) -> Iterator[tuple[str, bytes]]:
        """What all tokens of the lake's files, committed or not, and all letters say."""
        keys = customer_keys(self._environ)
        for key, body in self._objects(self._environ["TAKEAWAY_LAKE_BUCKET"]):
            if key.endswith(".parquet"):
                rows = pq.read_table(io.BytesIO(body)).to_pylist()
                tokens = list(tokens_in([[*row.values(), json.loads(row.get("_extra") or "{}")] for row in rows]))
                yield "lake, with the keys", repr(keys.objects.texts(tokens)).encode()
        letters = S3DeadLetters(self.client("s3"), self._environ["TAKEAWAY_DEAD_LETTER_BUCKET"], keys)
        for _, letter in letters.read_all(letters.keys()):
            yield "letters, with the keys", repr(letter).encode() if isinstance(letter, StoredLetter) else b""

    def _records(self) -> Iterator[bytes]:
        kinesis, stream = self.client("kinesis"), self._environ["TAKEAWAY_STREAM"]
        for shard in kinesis.list_shards(StreamName=stream)["Shards"]:
            iterator = kinesis.get_shard_iterator(
                StreamName=stream, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
            )["ShardIterator"]
            while True:
                answer = kinesis.get_records(ShardIterator=iterator)
                yield from (record["Data"] for record in answer["Records"])
                if not answer["Records"]:
                    break
                iterator = answer["NextShardIterator"]


def in_lake(environ: dict[str, str], order_ids: set[str]) -> bool:
    """Whether each order has come to its end there."""
    try:
        ends = ", ".join(f"'{EVENT_TYPES[event]}'" for event in FINAL_EVENTS)
        rows = Lake.from_environment(environ).sql(f"select order_id from events where event_type in ({ends})")
    except NoLake:
        return False
    return order_ids <= set(rows.column("order_id").to_pylist())


@pytest.mark.long
@pytest.mark.timeout(480)
def test_a_forgotten_customer_is_found_nowhere_but_where_it_is_told(
    takeaway: Takeaway, tmp_path: Path, tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / ".takeaway"
    ports = {"TAKEAWAY_AWS_PORT": str(free_port()), "TAKEAWAY_API_PORT": str(free_port())}
    try:
        up = takeaway("up", "--speed", "1000", **ports, TAKEAWAY_LAKE_FILE_AGE="2")
        assert up.returncode == 0, up.stderr
        monkeypatch.setenv("TAKEAWAY_HOME", str(home))
        environ = resolved(home)
        scan, api = Scan(environ, home), f"http://127.0.0.1:{ports['TAKEAWAY_API_PORT']}"
        tokens = {one["id"]: takeaway("token", one["id"], "--role", "customer").stdout.strip() for one in (ZAPHOD, ADA)}
        assert takeaway("load", "--orders", "5", "--rate", "20", "--speed", "1000", **ports).returncode == 0
        invented = next(entry.customer_id for entry in read_ledger(home / "ledger").entries if entry.customer_id)
        orders = {place(api, tokens[one["id"]], one, f"key-{n}") for one in (ZAPHOD, ADA) for n in range(2)}
        for one in (ZAPHOD, ADA):
            torn = f'{{"customer_id": "{one["id"]}", "customer_name": "{one["name"]}", torn {one["email"]}'
            scan.client("kinesis").put_record(
                StreamName=environ["TAKEAWAY_STREAM"], Data=torn.encode(), PartitionKey=f"order-of-{one['id']}"
            )
        until(lambda: in_lake(environ, orders), within=120, every=1)
        until(lambda: "name" in scan.of(ADA).get("letters, with the keys", ()), every=1)
        tracked = tracked_orders(environ)
        until(lambda: all(one.timeline.state in FINAL for one in tracked.get_many(orders).values()), every=1)
        assert takeaway("report").returncode == 0
        before = {one["id"]: scan.of(one) for one in (ZAPHOD, ADA)}

        forgot = takeaway("lake", "forget", ZAPHOD["id"], "--json")
        assert forgot.returncode == 0, forgot.stderr
        told = json.loads(forgot.stdout)
        assert (told["orders"], told["orders_removed"], told["orders_under_way"]) == (2, 2, []), told
        assert takeaway("lake", "forget", str(invented)).returncode == 0
        assert takeaway("report").returncode == 0
        pause(PROMISE)
        after = {one["id"]: scan.of(one) for one in (ZAPHOD, ADA)}

        for store, marks in before[ZAPHOD["id"]].items():
            tables.add(
                TABLE,
                store=store,
                zaphod_before=_words(marks),
                zaphod_after=_words(after[ZAPHOD["id"]].get(store, set())),
                ada_after=_words(after[ADA["id"]].get(store, set())),
            )
        for store in ("lake, with the keys", "letters, with the keys", "orders"):
            assert before[ZAPHOD["id"]][store] >= {"name", "email"}, store
            assert after[ADA["id"]][store] >= {"name", "email"}, store
        assert {store: marks for store, marks in after[ZAPHOD["id"]].items() if marks - LEFT.get(store, set())} == {}
        never = [store for store in after[ADA["id"]] if store.startswith((".takeaway", "lease", "letters, as"))]
        assert {store: before[ADA["id"]][store] for store in never if before[ADA["id"]].get(store)} == {}
        assert not any(entry.customer_id == invented for entry in read_ledger(home / "ledger").entries)

        # A customer who comes back is one again, in the very processes that run since before.
        again = place(api, tokens[ZAPHOD["id"]], ZAPHOD, "key-later")
        until(lambda: in_lake(environ, {again}), within=120, every=1)
        assert scan.of(ZAPHOD)["lake, with the keys"] >= {"name", "email"}
        rows = Lake.from_environment(environ).sql(
            f"select customer_name_token as token, order_id = '{again}' as is_new from events "
            f"where customer_id = '{ZAPHOD['id']}' and customer_name_token is not null"
        )
        texts = customer_keys(environ).objects.texts([row["token"] for row in rows.to_pylist()])
        assert {(row["is_new"], texts[row["token"]]) for row in rows.to_pylist()} == {
            (True, ZAPHOD["name"]),
            (False, None),
        }
    finally:
        takeaway("down")


def _words(marks: set[str]) -> str:
    return " ".join(sorted(marks)) or "-"
