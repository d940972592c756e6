"""The audit is real: whatever is taken away or put in behind its back, it finds and names."""

import base64
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable, write_deltalake

from analytics.table.layout import table_uri
from consumers.specs import readers
from events.wire import encode
from foundation import aws
from foundation.aws import storage_options
from producers.load.ledger import read_ledger
from takeaway.audit.account import SENT
from takeaway.audit.evidence import gather, ledger_facts
from takeaway.audit.verdict import audit
from takeaway.local import aws as local_aws
from takeaway.local import processes
from takeaway.local.backends import LOCAL_AWS
from takeaway.stack import deployment
from tests.support.builders import an_envelope, an_order_completed
from tests.support.command_line import run_takeaway
from tests.support.flow import TOLD_AGAIN, Flow, until
from tests.support.proxy import Answer, Behaviour, Request, proxy

pytestmark = pytest.mark.end_to_end
ORDERS = 20


@dataclass(frozen=True)
class Finished:
    """A flow that has run and whose local AWS is still up, with the id of one of its order_accepted."""

    home: Path
    demo_home: Path
    environ: dict[str, str]
    accepted: str

    def client(self, service: str) -> Any:
        return aws.client(service, self.environ)

    def told(self) -> Any:
        """All that an audit says at this moment."""
        ledger = str(self.demo_home / "ledger")
        done = run_takeaway("audit", "--json", "--settle", "0", "--ledger", ledger, home=self.home, **self.environ)
        return json.loads(done.stdout)

    def audit(self, endpoint: str | None = None) -> tuple[int, list[str]]:
        """The exit code, and what was found."""
        environ = {**self.environ, "AWS_ENDPOINT_URL": endpoint or self.environ["AWS_ENDPOINT_URL"]}
        ledger = str(self.demo_home / "ledger")
        done = run_takeaway("audit", "--json", "--settle", "0", "--ledger", ledger, home=self.home, **environ)
        assert done.stdout, done.stderr
        return done.returncode, [found["what"] for found in json.loads(done.stdout)["findings"]]

    @contextmanager
    def one_more_finding(self, *parts: str) -> Iterator[list[str]]:
        """What is done inside adds exactly one finding, which says all this. Some deeds cannot be undone again."""
        named = list(parts)
        before = self.audit()[1]
        yield named
        # What is young may still be under way, and is told when it no longer can be.
        (added,) = until(lambda: set(self.audit()[1]) - set(before), within=120, every=1)
        assert self.audit()[0] == 1
        assert all(part in added for part in named), added

    def lake(self) -> DeltaTable:
        uri = table_uri(self.environ["TAKEAWAY_LAKE_BUCKET"])
        return DeltaTable(uri, storage_options=storage_options(self.environ))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Finished]:
    home = tmp_path_factory.mktemp("audit")
    arguments = ("demo", "--orders", str(ORDERS), "--rate", "20", "--speed", "1000", "--seed", "11", "--keep")
    try:
        done = run_takeaway(*arguments, home=home)
        assert done.returncode == 0, done.stdout + done.stderr
        (demo_home,) = (home / ".takeaway" / "demos").iterdir()
        environ = {**os.environ, **local_aws.saved_environ(demo_home)}
        environ |= deployment.settings(environ)
        acknowledged = read_ledger(demo_home / "ledger").acknowledged
        accepted = next(entry.event_id for entry in acknowledged if entry.event_type == "order_accepted")
        flow = [one for one in processes.load_services(demo_home / "services.json") if one.name != LOCAL_AWS]
        processes.stop_processes(flow, grace=30)
        finished = Finished(home, demo_home, environ, accepted)
        assert [finished.audit(), finished.audit()] == [(0, []), (0, [])], "looking must change nothing"
        yield finished
    finally:
        assert run_takeaway("down", home=home).returncode == 0


def drop_from_stream(event_id: str) -> Behaviour:
    def behave(request: Request, forward: Callable[[], Answer]) -> Answer:
        answer = forward()
        if not request.target.endswith(".GetRecords"):
            return answer
        page = json.loads(answer.body)
        page["Records"] = [r for r in page["Records"] if event_id.encode() not in base64.b64decode(r["Data"])]
        return answer.with_body(json.dumps(page).encode())

    return behave


def drop_mail(event_id: str) -> Behaviour:
    def behave(request: Request, forward: Callable[[], Answer]) -> Answer:
        answer = forward()
        if not request.path.startswith(("/_ministack/ses", "/_aws/ses")) or answer.status != HTTPStatus.OK:
            return answer
        page = json.loads(answer.body)
        if isinstance(page["messages"], list):
            page["messages"] = [mail for mail in page["messages"] if event_id not in str(mail)]
        else:
            page["messages"] = {
                account: [mail for mail in mails if event_id not in str(mail)]
                for account, mails in page["messages"].items()
            }
        return answer.with_body(json.dumps(page).encode())

    return behave


@pytest.mark.parametrize("drop", [drop_from_stream, drop_mail])
def test_something_taken_away_on_the_way_is_missed_and_named(
    finished: Finished, drop: Callable[[str], Behaviour]
) -> None:
    def missed() -> bool:
        code, found = finished.audit(endpoint)
        return code == 1 and any(finished.accepted in what for what in found)

    with proxy(finished.environ["AWS_ENDPOINT_URL"], drop(finished.accepted)) as endpoint:
        until(missed, within=120, every=1)


def take_one_ticket(finished: Finished) -> dict[str, str]:
    """Takes any ticket off the audit's queue for good; gives its body."""
    sqs, queue = finished.client("sqs"), finished.environ["TAKEAWAY_AUDIT_QUEUE"]
    (message,) = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=1)["Messages"]
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    body: dict[str, str] = json.loads(message["Body"])
    return body


def put_ticket(finished: Finished, ticket: dict[str, str]) -> None:
    finished.client("sqs").send_message(
        QueueUrl=finished.environ["TAKEAWAY_AUDIT_QUEUE"], MessageBody=json.dumps(ticket)
    )


def test_a_ticket_taken_away_is_missed_and_one_sent_twice_is_a_repeated_effect(finished: Finished) -> None:
    with finished.one_more_finding("the ticket for order_placed", "never received") as named:
        ticket = take_one_ticket(finished)
        named.append(ticket["event_id"])
    put_ticket(finished, ticket)
    with finished.one_more_finding(f"the ticket for order_placed {ticket['event_id']}", "received 2 times"):
        put_ticket(finished, ticket)


def test_a_lake_row_taken_away_is_missed_and_named(finished: Finished) -> None:
    event_id = finished.accepted
    before = finished.lake().version()
    with finished.one_more_finding(f"order_accepted {event_id}", "not in the lake"):
        finished.lake().delete(f"event_id = '{event_id}'")
    finished.lake().restore(before)


def test_a_lake_row_put_in_again_is_doubled(finished: Finished) -> None:
    event_id = finished.accepted
    before = finished.lake().version()
    with finished.one_more_finding(f"order_accepted {event_id}", "in the lake 2 times"):
        rows = finished.lake().to_pyarrow_table(filters=[("event_id", "=", event_id)])
        write_deltalake(finished.lake(), rows, mode="append")
    finished.lake().restore(before)


def test_a_mail_sent_twice_is_a_repeated_effect(finished: Finished) -> None:
    event_id = finished.accepted
    with finished.one_more_finding(f"the e-mail for order_accepted {event_id}", "received 2 times"):
        finished.client("ses").send_email(
            Source=finished.environ["TAKEAWAY_SENDER"],
            Destination={"ToAddresses": ["someone@example.com"]},
            Message={"Subject": {"Data": "again"}, "Body": {"Text": {"Data": f"Reference: {event_id}"}}},
        )


def test_an_event_put_on_the_stream_is_unexpected(finished: Finished) -> None:
    stranger = an_envelope(an_order_completed(), order_id="order-of-nobody")
    before = finished.audit()[1]
    finished.client("kinesis").put_record(
        StreamName=finished.environ["TAKEAWAY_STREAM"], PartitionKey="order-of-nobody", Data=encode(stranger)
    )
    told = finished.told()
    added = {found["what"] for found in told["findings"]} - set(before)
    assert len(added) == 1, added
    assert f"{stranger.event_id} of order order-of-nobody is on the stream, and not in the ledger" in added.pop()
    # The consumers have ended: what they have not read is on the stream, and neither lost nor in the lake.
    assert not told["at_rest"]
    waiting = {waits["for"] for waits in told["waiting"] if stranger.event_id in waits["what"]}
    assert waiting == {"archiver", *SENT}


@pytest.mark.long
def test_an_audit_of_a_flow_that_goes_on_says_what_it_waits_for_and_finds_nothing(flow: Flow) -> None:
    flow.start_api()
    for consumer in readers():
        flow.start_consumer(consumer)
    flow.start_load(orders=120, rate=10, seed=12)
    until(lambda: bool(ledger_facts(flow.ledger)))
    audited = []
    while flow.living("load") is not None:
        audited.append(flow.look(TOLD_AGAIN))
    assert [verdict.findings for verdict in audited if not verdict.ok] == []
    assert sum(not verdict.at_rest for verdict in audited) >= 1
    flow.finish_load()
    flow.drain()
    until(lambda: audit(gather(flow.environ, flow.ledger)).at_rest)
    verdict = flow.audit(TOLD_AGAIN)
    assert verdict.ok, verdict.findings
    assert {account.consumer for account in verdict.accounts} == {"archiver", *SENT}
