"""`takeaway doctor` on stacks of the embedded AWS: well, half deployed, stood still, silent. It changes nothing."""

import json
import os
import threading
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec
import psutil
import pyarrow as pa
import pytest
from aws_kinesis_agg.aggregator import RecordAggregator
from deltalake import write_deltalake

from analytics.archiving.decode import decode_records
from analytics.table.layout import table_uri
from consumers.dead_letters.letters import dead_letter
from consumers.dead_letters.stored import S3DeadLetters
from consumers.engines.worker.leases.lease import Lease
from consumers.engines.worker.leases.table import LeaseTable
from consumers.specs import CONSUMERS, readers
from events.timeline import seen
from events.wire import encode
from foundation.aws import storage_options
from foundation.clock import SYSTEM_CLOCK, uninterrupted_wait
from foundation.kinesis.records import Sentinel, SequenceNumber
from producers.assembly import read_shards, tracked_orders
from takeaway.doctor import examination, machine
from takeaway.doctor.examination import examine
from takeaway.doctor.facts import Checkup, Problem, Process, Resource, Section, Setting
from takeaway.doctor.judge import findings
from takeaway.doctor.rates import rates as measured_rates
from takeaway.local import aws as local_aws
from takeaway.local import processes
from takeaway.local.backends import LOCAL_AWS
from takeaway.stack import deployment
from takeaway.stack.environment import Source, endpoint_sources, merged, origins
from takeaway.standing.collector import Collector, Reader, SeenReader
from tests.conftest import BACKEND_NAME, LocalAws
from tests.support.builders import NOON, a_record, an_envelope
from tests.support.command_line import run_takeaway
from tests.support.dynamodb import table_names
from tests.support.fakes.clock import FakeClock
from tests.support.timelines import PLACING
from tests.support.worlds.lake_world import some_keys

pytestmark = pytest.mark.slow


class Ward:
    """A stack of its own, and what a test does to it."""

    def __init__(self, aws: LocalAws, home: Path) -> None:
        self.stack = f"doctor-{uuid.uuid4().hex[:8]}"
        self.home = home
        self.given = {**aws.reached, "TAKEAWAY_STACK": self.stack}
        self.environ = {**self.given, **deployment.deploy(self.given)}
        self.client = aws.client
        self.stream = self.environ["TAKEAWAY_STREAM"]

    def examine(self, **variables: str) -> Checkup:
        return examine([Source("environment", {**self.given, **variables})], self.home)

    def put(self, data: bytes = b"bytes", count: int = 1) -> list[tuple[str, str]]:
        """Records for one shard; answers with its id and their numbers."""
        answers = [
            self.client("kinesis").put_record(StreamName=self.stream, PartitionKey="order-1", Data=data)
            for _ in range(count)
        ]
        return [(answer["ShardId"], answer["SequenceNumber"]) for answer in answers]

    def lease(self, consumer: str, lease: Lease) -> LeaseTable:
        table = LeaseTable(self.client("dynamodb"), f"{self.stack}-{consumer}", "worker-1")
        table.create(uninterrupted_wait())
        table.add(lease)
        return table


@pytest.fixture
def ward(local_aws: LocalAws, tmp_path: Path) -> Ward:
    return Ward(local_aws, tmp_path)


def told_of_orders(checkup: Checkup) -> list[Problem]:
    return [problem for problem in findings(checkup) if problem.section == Section.ORDERS]


def whats(checkup: Checkup) -> list[str]:
    return [problem.what for problem in findings(checkup)]


@pytest.mark.local_aws
def test_a_fresh_stack_is_well_and_is_left_as_it_was(ward: Ward) -> None:
    tables = table_names(ward.client("dynamodb"))
    checkup = ward.examine()
    assert findings(checkup) == ()
    assert checkup.back_end is not None
    assert checkup.back_end.local
    assert abs(checkup.back_end.clock_ahead_seconds or 0) < 60
    assert [(one.kind, one.there) for one in checkup.resources] == [
        *[(kind, True) for kind in ("stack", "stream", "table", "table", "table", "topic", "queue", "queue")],
        *[(kind, True) for kind in ("bucket", "bucket", "bucket", "sender")],
    ]
    assert checkup.resources[1].detail == "ACTIVE, 2 open shards, keeps 24 h"
    assert [(one.name, one.ran, len(one.shards)) for one in checkup.consumers] == [(n, False, 2) for n in readers()]
    assert [one.reads_per_second for one in checkup.consumers] == [one.reads_per_second for one in readers().values()]
    assert [rate.bytes_per_second for rate in checkup.rates] == [0, 0]
    assert [letters.count for letters in checkup.dead_letters] == [0] * len(CONSUMERS)
    assert checkup.lake is not None
    assert checkup.lake.version is None
    assert table_names(ward.client("dynamodb")) == tables
    assert list(ward.home.iterdir()) == []


@pytest.mark.local_aws
def test_every_setting_is_told_with_its_origin_and_no_secret(ward: Ward) -> None:
    key = "k" * 40
    settings = ward.examine(
        AWS_SECRET_ACCESS_KEY="swordfish", TAKEAWAY_TOKEN_KEY=key, AWS_SESSION_TOKEN="swordfish", TAKEAWAY_SENDER=""
    ).settings
    assert Setting("AWS_SECRET_ACCESS_KEY", "set", "environment") in settings
    assert Setting("TAKEAWAY_TOKEN_KEY", "set", "environment") in settings
    assert Setting("TAKEAWAY_STACK", ward.stack, "environment") in settings
    assert Setting("TAKEAWAY_STREAM", ward.stream, "stack's outputs") in settings
    assert Setting("TAKEAWAY_SENDER", "orders@takeaway.example", "default") in settings
    assert Setting("TAKEAWAY_LAKE_FILE_AGE", "60", "default") in settings
    assert len({one.name for one in settings}) == len(settings)
    assert not {"swordfish", key, ward.given["AWS_ACCESS_KEY_ID"]} & {one.value for one in settings}


@pytest.mark.local_aws
def test_what_the_user_sets_wins_over_the_stack_and_what_is_empty_is_unset(ward: Ward) -> None:
    checkup = ward.examine(TAKEAWAY_LAKE_BUCKET=f"{ward.stack}-mine", TAKEAWAY_ORDERS_TABLE="")
    assert Setting("TAKEAWAY_LAKE_BUCKET", f"{ward.stack}-mine", "environment") in checkup.settings
    assert (
        Setting("TAKEAWAY_ORDERS_TABLE", ward.environ["TAKEAWAY_ORDERS_TABLE"], "stack's outputs") in checkup.settings
    )
    (what,) = whats(checkup)
    assert what.endswith(f"missing: bucket {ward.stack}-mine")


def test_the_local_aws_that_is_up_wins_over_the_users_own_aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    assert merged(endpoint_sources(tmp_path))["AWS_REGION"] == "eu-west-1"
    ours = psutil.Process()
    processes.save_services(
        tmp_path / "services.json", [processes.Running(LOCAL_AWS, ours.pid, ours.create_time(), "log")]
    )
    (tmp_path / "endpoint").write_text("http://127.0.0.1:4567")
    sources = endpoint_sources(tmp_path)
    assert merged(sources)["AWS_REGION"] == "us-east-1"
    assert merged(sources)["AWS_ENDPOINT_URL"] == "http://127.0.0.1:4567"
    assert origins(sources)["AWS_ENDPOINT_URL"].name == "running local AWS"
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4568")
    sources = endpoint_sources(tmp_path)
    assert merged(sources)["AWS_ENDPOINT_URL"] == "http://127.0.0.1:4568"
    assert merged(sources)["AWS_REGION"] == "eu-west-1"
    assert origins(sources)["AWS_ACCESS_KEY_ID"].name == "default"


@pytest.mark.local_aws
def test_a_setting_that_cannot_be_read_is_named(ward: Ward) -> None:
    (what,) = whats(ward.examine(TAKEAWAY_OUTCOME_DAYS="many"))
    assert what.startswith("TAKEAWAY_OUTCOME_DAYS: ")
    (what,) = whats(ward.examine(TAKEAWAY_ARCHIVER_READS_PER_SECOND="7"))
    assert what == "TAKEAWAY_ARCHIVER_READS_PER_SECOND is 7"


@pytest.mark.local_aws
def test_a_half_deployed_stack_is_told_by_what_it_lacks(ward: Ward) -> None:
    ward.client("dynamodb").delete_table(TableName=ward.environ["TAKEAWAY_ORDERS_TABLE"])
    ward.client("sqs").delete_queue(QueueUrl=ward.environ["TAKEAWAY_TICKET_QUEUE"])
    ward.client("sns").delete_topic(TopicArn=ward.environ["TAKEAWAY_TICKET_TOPIC"])
    ward.client("kinesis").delete_stream(StreamName=ward.stream)
    for bucket in ("LAKE_BUCKET", "DEAD_LETTER_BUCKET", "CUSTOMER_KEY_BUCKET"):
        ward.client("s3").delete_bucket(Bucket=ward.environ[f"TAKEAWAY_{bucket}"])
    checkup = ward.examine()
    missing = [
        Resource(one.kind, one.name, there=False, detail="missing") for one in checkup.resources if not one.there
    ]
    assert [one for one in checkup.resources if not one.there] == missing
    assert sorted(one.kind for one in missing) == ["bucket", "bucket", "bucket", "queue", "stream", "table", "topic"]
    (problem,) = findings(checkup)
    assert all(one.name in problem.what for one in missing)


@pytest.mark.local_aws
@pytest.mark.xfail(BACKEND_NAME != "embedded", reason="LocalStack holds every address to be verified", strict=True)
def test_a_sender_that_is_not_verified(ward: Ward) -> None:
    (what,) = whats(ward.examine(TAKEAWAY_SENDER=f"{ward.stack}@takeaway.example"))
    assert f"{ward.stack}@takeaway.example is not verified" in what


@pytest.mark.local_aws
def test_a_stack_that_is_not_deployed(ward: Ward) -> None:
    checkup = ward.examine(TAKEAWAY_STACK="nowhere")
    (problem,) = findings(checkup)
    assert "no stack 'nowhere'" in problem.what
    assert "takeaway deploy" in problem.fix


@pytest.mark.local_aws
def test_dead_letters_are_counted_by_error_and_quote_no_customer(ward: Ward) -> None:
    letters = S3DeadLetters(ward.client("s3"), ward.environ["TAKEAWAY_DEAD_LETTER_BUCKET"], some_keys())
    errors = [ValueError("Ada Lovelace"), ValueError("ada@example.com"), KeyError("Ada Lovelace")]
    for number, error in enumerate(errors, start=1):
        letters.put(
            dead_letter(
                consumer="archiver",
                stream=ward.stream,
                shard_id="shardId-0",
                record=a_record(number),
                failed_at=SYSTEM_CLOCK.now(),
                attempts=3,
                error=error,
            )
        )
    ward.client("s3").put_object(Bucket=ward.environ["TAKEAWAY_DEAD_LETTER_BUCKET"], Key="archiver/note", Body=b"hello")
    checkup = ward.examine()
    (found,) = (letters for letters in checkup.dead_letters if letters.consumer == "archiver")
    assert (found.count, found.looked_at) == (4, 4)
    assert found.kinds[0] == ("ValueError", 2)
    assert dict(found.kinds) == {"ValueError": 2, "KeyError": 1, "no letter of ours": 1}
    assert found.newest_at is not None
    assert abs(SYSTEM_CLOCK.now() - found.newest_at) < timedelta(hours=1)
    (what,) = whats(checkup)
    assert what.startswith("archiver could not process 4 records: 2 ValueError, ")
    assert "Ada" not in repr(checkup)


@pytest.mark.local_aws
def test_events_that_no_participant_declares_are_told(ward: Ward) -> None:
    bodies = [encode(an_envelope()).replace(b'"schema_version":1', b'"schema_version":7'), encode(an_envelope())]
    records = [a_record(number, data=body) for number, body in enumerate(bodies, start=1)]
    rows = decode_records("shardId-000000000000", records, some_keys()).rows
    days = pa.array([NOON.date()] * rows.num_rows)
    write_deltalake(
        table_uri(ward.environ["TAKEAWAY_LAKE_BUCKET"]),
        rows.append_column("event_date", days),
        partition_by=["event_date"],
        storage_options=storage_options(ward.environ),
    )
    lake = ward.examine().lake
    assert lake is not None
    assert lake.undeclared == (("order_placed.v7", 1),)


@pytest.mark.local_aws
def test_the_lake_is_told_by_its_log(ward: Ward) -> None:
    bucket = ward.environ["TAKEAWAY_LAKE_BUCKET"]
    for _ in range(2):
        write_deltalake(
            table_uri(bucket), pa.table({"x": [1, 2, 3]}), mode="append", storage_options=storage_options(ward.environ)
        )
    lake = ward.examine().lake
    assert lake is not None
    assert (lake.version, lake.rows) == (1, 6)
    assert lake.newest_file_at is not None
    assert abs(SYSTEM_CLOCK.now() - lake.newest_file_at) < timedelta(hours=1)


@pytest.mark.local_aws
def test_a_consumer_that_never_ran_is_a_problem_once_records_wait(ward: Ward) -> None:
    ((shard_id, _),) = ward.put()
    for consumer in readers().keys() - {"archiver"}:
        ward.lease(consumer, Lease(shard_id, Sentinel.SHARD_END, owner="worker-1"))
    assert whats(ward.examine()) == [f"archiver never ran, and records wait for it on {shard_id}"]


@pytest.mark.local_aws
def test_an_owner_who_is_gone_is_found_out(ward: Ward) -> None:
    (shard_id, first), _ = ward.put(count=2)
    for consumer in readers():
        ward.lease(consumer, Lease(shard_id, Sentinel.SHARD_END, owner="worker-1"))
    table = LeaseTable(ward.client("dynamodb"), f"{ward.stack}-archiver", "worker-1")
    table.delete(table.list()[shard_id])
    ward.lease("archiver", Lease(shard_id, SequenceNumber(first), counter=7, owner="gone"))
    checkup = ward.examine(TAKEAWAY_FAILOVER_SECONDS="0.1")
    (what,) = whats(checkup)
    assert what.startswith(f"archiver is stopped on {shard_id}: records wait, and no worker keeps its lease")
    (reading,) = (shard for one in checkup.consumers if one.name == "archiver" for shard in one.shards)
    assert (reading.owner, reading.checkpoint) == ("gone", first)
    assert table.list()[shard_id].counter == 7


class Bedside:
    """A lease of one shard that is looked at on a clock of its own; `while_waiting` happens between two looks."""

    def __init__(self, ward: Ward) -> None:
        self.ward = ward
        self.clock = FakeClock()
        self.while_waiting: Callable[[], object] = lambda: None

    def seen(self, *, failover_seconds: float = 10.0, look_seconds: float = 0.0) -> SeenReader:
        collector = Collector(
            self.ward.client("kinesis"),
            self.ward.client("dynamodb"),
            self.ward.stream,
            SYSTEM_CLOCK.now() + timedelta(seconds=5),
            self.clock.clock,
            self._wait,
        )
        table = f"{self.ward.stack}-archiver"
        return collector.look(Reader("archiver", table, failover_seconds / 3, look_seconds=look_seconds))

    def look(self, *, failover_seconds: float = 10.0) -> list[tuple[bool | None, bool | None, bool]]:
        """Renewed, unread and finished, of each shard of the archiver."""
        consumer = self.seen(failover_seconds=failover_seconds)
        waited = [reading.waiting_seconds for reading in consumer.shards if reading.unread]
        assert all(seconds is not None and 5 <= seconds < 30 for seconds in waited)
        return [(reading.renewed, reading.unread, reading.finished) for reading in consumer.shards]

    def _wait(self, seconds: float) -> bool:
        self.while_waiting()
        return self.clock.wait(seconds)


@pytest.fixture
def bedside(ward: Ward) -> Bedside:
    return Bedside(ward)


@pytest.mark.local_aws
def test_a_lease_is_alive_when_its_holder_moves_the_counter(ward: Ward, bedside: Bedside) -> None:
    (shard_id, first), (_, second) = ward.put(count=2)
    table = ward.lease("archiver", Lease(shard_id, SequenceNumber(first), owner="worker-1"))
    # The renewal comes late, but within the time that a holder has.
    bedside.while_waiting = lambda: table.renew(table.list()[shard_id]) if bedside.clock.monotonic() > 2 else None
    assert bedside.look() == [(True, True, False)]
    table.checkpoint(table.list()[shard_id], SequenceNumber(second))
    assert bedside.look() == [(True, False, False)]


@pytest.mark.local_aws
def test_a_counter_that_moves_without_an_owner_is_no_renewal(ward: Ward, bedside: Bedside) -> None:
    ((shard_id, first),) = ward.put()
    table = ward.lease("archiver", Lease(shard_id, SequenceNumber(first), owner="worker-1"))
    bedside.while_waiting = lambda: table.evict(table.list()[shard_id])
    assert bedside.look() == [(False, False, False)]


@pytest.mark.local_aws
def test_who_renews_too_seldom_to_be_watched_is_not_accused(ward: Ward, bedside: Bedside) -> None:
    ((shard_id, _),) = ward.put()
    ward.lease("archiver", Lease(shard_id, Sentinel.TRIM_HORIZON, owner="worker-1"))
    assert bedside.look(failover_seconds=300) == [(None, True, False)]
    assert bedside.look() == [(False, True, False)]


@pytest.mark.local_aws
def test_a_place_that_is_no_place_yet_or_no_more_is_not_guessed_at(ward: Ward, bedside: Bedside) -> None:
    ward.put()
    ward.lease("archiver", Lease("shardId-000000000000", Sentinel.LATEST, owner="worker-1"))
    ward.lease("archiver", Lease("shardId-000000000001", Sentinel.SHARD_END, owner="worker-1"))
    ward.lease("archiver", Lease("shardId-000000000009", SequenceNumber("7"), owner="worker-1"))
    assert bedside.look() == [(False, None, False), (None, None, True), (False, None, False)]


@pytest.mark.local_aws
def test_the_rest_of_an_aggregate_is_unread(ward: Ward, bedside: Bedside) -> None:
    aggregator = RecordAggregator()
    for order_id in ("order-1", "order-2"):
        aggregator.add_user_record(order_id, b"bytes")
    ((shard_id, number),) = ward.put(aggregator.clear_and_get().get_contents()[2])
    table = ward.lease("archiver", Lease(shard_id, SequenceNumber(number, 0), owner="worker-1"))
    assert bedside.look() == [(False, True, False)]
    table.checkpoint(table.list()[shard_id], SequenceNumber(number, 1))
    assert bedside.look() == [(False, False, False)]


@pytest.mark.local_aws
def test_the_in_rate_is_measured_where_records_come_in(ward: Ward) -> None:
    ((shard_id, _), *_) = ward.put(b"x" * 10_000, count=3)
    measured = measured_rates(ward.client("kinesis"), ward.stream, SYSTEM_CLOCK.now(), SYSTEM_CLOCK)
    rates = {rate.shard_id: rate.bytes_per_second for rate in measured}
    size = 3 * (10_000 + len("order-1"))
    # By the second, and by as many as it took to put them on a busy machine.
    assert size / 10 < (rates.pop(shard_id) or 0) <= size
    assert list(rates.values()) == [0]


class _Endpoint(BaseHTTPRequestHandler):
    """Healthy, two minutes ahead of us, and silent on every question of AWS."""

    released: threading.Event

    def do_GET(self) -> None:
        self.send_response_only(200)
        self.send_header("Date", format_datetime(SYSTEM_CLOCK.now() + timedelta(minutes=2), usegmt=True))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self) -> None:
        self.released.wait(30)

    def log_message(self, *_: object) -> None:
        """Tests read no logs."""


@pytest.fixture
def silent_endpoint() -> Iterator[str]:
    _Endpoint.released = threading.Event()
    with ThreadingHTTPServer(("127.0.0.1", 0), _Endpoint) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        _Endpoint.released.set()
        server.shutdown()


def test_a_back_end_that_hangs_costs_its_time_limit_and_no_more(
    silent_endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examination, "ASK_SECONDS", 0.2)
    checkup = examine([Source("environment", local_aws.local_environ(silent_endpoint))], tmp_path)
    assert [(problem.section, problem.what) for problem in findings(checkup)] == [
        ("settings", "the stack's outputs could not be read: no answer within 0.2 s"),
        ("back end", "this machine's clock is 120 s behind the back end's"),
    ]


def test_a_dead_endpoint_is_one_finding(tmp_path: Path) -> None:
    done = run_takeaway("doctor", home=tmp_path, AWS_ENDPOINT_URL="http://user:swordfish@127.0.0.1:9")
    assert done.returncode == 1
    assert "problem: http://***@127.0.0.1:9 does not answer" in done.stdout
    assert "fix: " in done.stdout
    assert done.stdout.startswith("1 problem: back end\n")
    assert "Traceback" not in done.stderr
    assert "swordfish" not in done.stdout + done.stderr


def test_a_dead_endpoint_is_asked_nothing_more(tmp_path: Path) -> None:
    checkup = examine([Source("environment", local_aws.local_environ("http://127.0.0.1:9"))], tmp_path)
    assert checkup.back_end is not None
    assert checkup.back_end.trouble is not None
    assert (checkup.unsettled, checkup.resources, checkup.consumers) == ((), (), ())


def test_without_an_endpoint_there_is_nothing_to_examine(tmp_path: Path) -> None:
    done = run_takeaway("doctor", home=tmp_path, AWS_EC2_METADATA_DISABLED="true")
    assert done.returncode == 2
    assert done.stderr.startswith("error: no local AWS is up, and no AWS credentials are set\nfix: `takeaway up`")
    assert done.stdout.startswith("nothing to examine\n")
    assert "TAKEAWAY_HOME" in done.stdout
    assert "TAKEAWAY_STACK" not in done.stdout
    told = run_takeaway("doctor", "--all", home=tmp_path, AWS_EC2_METADATA_DISABLED="true").stdout
    assert "TAKEAWAY_STACK" in told


def test_what_was_started_is_told_and_whether_the_api_serves(silent_endpoint: str, tmp_path: Path) -> None:
    ours, home = psutil.Process(), tmp_path
    api = processes.Running("api", ours.pid, ours.create_time(), "api.log")
    gone = processes.Running("archiver", ours.pid, ours.create_time() - 60, "archiver.log")
    processes.save_services(home / "services.json", [api, gone])
    up, ended = Process("api", ours.pid, up=True, log="api.log"), Process("archiver", ours.pid, up=False, log=gone.log)
    assert machine.started(home, {}) == (up, ended)
    (home / "api_port").write_text(silent_endpoint.rpartition(":")[2])
    assert machine.started(home, {}) == (up, ended)
    (home / "api_port").write_text("9")
    (silent, _) = machine.started(home, {})
    assert silent.trouble is not None
    assert silent.trouble.startswith("http://127.0.0.1:9/health: ")
    (problem, *_) = findings(Checkup(SYSTEM_CLOCK.now(), None, processes=(silent,)))
    assert "api.log" in problem.fix


@pytest.mark.local_aws
def test_an_open_order_whose_step_is_overdue_is_told_once_the_tracker_has_read_past_it(ward: Ward) -> None:
    now = SYSTEM_CLOCK.now()
    placed = msgspec.structs.replace(PLACING, arrived_at=now - timedelta(minutes=5))
    tracked_orders(ward.environ).join("order-17", seen([placed]))
    shards = [f"shardId-00000000000{number}" for number in range(2)]
    noted = read_shards(ward.environ)
    noted.note(shards[0], now)
    assert told_of_orders(ward.examine()) == [], "of the other shard nothing is known"
    noted.note(shards[1], now - timedelta(minutes=4, seconds=30))
    assert told_of_orders(ward.examine()) == [], "the tracker has not come so far"
    noted.note(shards[1], now)
    items = [*ward.client("dynamodb").scan(TableName=ward.environ["TAKEAWAY_TRACKER_TABLE"])["Items"]]
    checkup = ward.examine()
    (problem,) = told_of_orders(checkup)
    assert problem.what.startswith("1 open order waits for restaurant_notifier to tell restaurant_notified")
    assert "`takeaway trace order-17`" in problem.fix
    assert checkup.orders is not None
    assert (checkup.orders.count, checkup.orders.looked_at) == (1, 1)
    assert ward.client("dynamodb").scan(TableName=ward.environ["TAKEAWAY_TRACKER_TABLE"])["Items"] == items


@pytest.mark.local_aws
def test_a_trackers_table_that_is_missing_is_told_once(ward: Ward) -> None:
    ward.client("dynamodb").delete_table(TableName=ward.environ["TAKEAWAY_TRACKER_TABLE"])
    checkup = ward.examine()
    (problem,) = findings(checkup)
    assert problem.what.endswith(f"missing: table {ward.environ['TAKEAWAY_TRACKER_TABLE']}")
    assert checkup.orders is None


@pytest.mark.local_aws
def test_people_and_programs_are_told_the_same(ward: Ward) -> None:
    told = run_takeaway("doctor", home=ward.home, **ward.given)
    assert told.returncode == 0, told.stdout + told.stderr
    assert told.stdout.startswith("no problems\n")
    assert "\x1b" not in told.stdout
    sections = (
        "settings",
        "back end",
        "resources",
        "consumers",
        "open orders",
        "reading capacity",
        "dead letters",
        "lake",
    )
    for section in sections:
        assert f"✓ {section}\n" in told.stdout
    ward.put()
    done = run_takeaway("doctor", "--json", home=ward.home, **ward.given)
    facts = json.loads(done.stdout)
    assert done.returncode == 1
    assert not facts["ok"]
    assert [problem["section"] for problem in facts["problems"]] == ["consumers"] * len(readers())
    assert [one["name"] for one in facts["consumers"]] == list(readers())
