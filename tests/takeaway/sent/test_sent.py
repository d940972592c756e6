"""takeaway sent: what the local AWS really took, for eyes and as JSON; the audit still finds all of it."""

import json
import uuid
from typing import Any

import pytest
from typer.testing import CliRunner

from consumers.mail.letter import Letter
from consumers.mail.ses import Mail
from events import Item, encode
from takeaway import cli
from takeaway.audit.effects import mail_effects, ticket_effects
from takeaway.commands import sent
from takeaway.errors import UserError
from takeaway.sent import sent_tickets
from tests.conftest import LocalAws
from tests.support.builders import an_envelope
from tests.support.flow import until

pytestmark = pytest.mark.local_aws


@pytest.fixture
def stack(local_aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    monkeypatch.setattr(sent, "resolved", lambda: local_aws.environ)
    return local_aws.environ


def run(*arguments: str) -> Any:
    return CliRunner().invoke(cli.app, ["sent", *arguments])


def a_letter(subject: str, reference: str) -> Letter:
    return Letter(
        to="ada@example.com",
        name="Ada",
        subject=subject,
        sentences=("Your food \x1b[31mis ready.",),
        reference=reference,
        items=(Item(sku="m", name="Margherita", quantity=2, unit_price=950),),
        total=1900,
        currency="EUR",
    )


def a_mail(local_aws: LocalAws, subject: str) -> str:
    """Sent as a notifier does; answers the event that it answers."""
    event_id = str(uuid.uuid4())
    Mail(local_aws.client("ses"), local_aws.environ["TAKEAWAY_SENDER"]).send(a_letter(subject, event_id))
    return event_id


def a_ticket(local_aws: LocalAws, **told: Any) -> str:
    event_id = str(uuid.uuid4())
    message = json.dumps({"event_id": event_id, "restaurant_id": "restaurant-01", **told})
    local_aws.client("sns").publish(TopicArn=local_aws.environ["TAKEAWAY_TICKET_TOPIC"], Message=message)
    return event_id


def test_mails_are_shown_whole_and_the_newest_last(local_aws: LocalAws, stack: dict[str, str]) -> None:
    first, second = a_mail(local_aws, "first"), a_mail(local_aws, "second")
    told = json.loads(run("mail", "--last", "2", "--json").stdout)
    assert [(one["subject"], one["event_id"], one["to"]) for one in told] == [
        ("first", first, ["ada@example.com"]),
        ("second", second, ["ada@example.com"]),
    ]
    shown = run("mail", "-n", "1").stdout
    assert "second\n\n  Hello Ada,\n" in shown
    assert "  2 x Margherita, EUR 19.00\n" in shown
    assert "Your food \\u001b[31mis ready." in shown
    assert f"  Reference: {second}\n" in shown
    assert "the newest 1 of " in shown
    assert {first, second} <= {effect.event_id for effect in mail_effects(stack)}


def test_of_one_order_those_are_shown_that_answer_its_events(local_aws: LocalAws, stack: dict[str, str]) -> None:
    """The order's events are looked up as `takeaway trace` does: here on the stream."""
    placed = an_envelope(order_id=str(uuid.uuid4()), cause=str(uuid.uuid4()))
    local_aws.client("kinesis").put_record(
        StreamName=stack["TAKEAWAY_STREAM"], PartitionKey=placed.order_id, Data=encode(placed)
    )
    Mail(local_aws.client("ses"), stack["TAKEAWAY_SENDER"]).send(a_letter("mine", placed.event_id))
    a_mail(local_aws, "another's")
    told = json.loads(run("mail", "--order", placed.order_id, "--json").stdout)
    assert [one["subject"] for one in told] == ["mine"]


@pytest.mark.usefixtures("stack")
def test_an_order_that_is_not_there_is_told() -> None:
    error = run("mail", "--order", "no-such-order").exception
    assert isinstance(error, UserError)
    assert "no-such-order" in error.what


def test_a_look_takes_no_message_from_the_audit(local_aws: LocalAws, stack: dict[str, str]) -> None:
    order = str(uuid.uuid4())
    items = [{"name": "Margherita", "quantity": 2}, {"name": "Naan", "quantity": 1}]
    event_id = a_ticket(local_aws, order_id=order, items=items)
    withdrawn = a_ticket(local_aws, order_id=order, kind="withdrawal", reason="cancelled")
    for _ in range(2):
        told = json.loads(run("ticket", "--order", order, "--json").stdout)
        assert [(one["kind"], one["event_id"]) for one in told] == [("ticket", event_id), ("withdrawal", withdrawn)]
    assert told[0]["message"]["items"] == items
    header, *rows = run("ticket", "--order", order).stdout.splitlines()
    assert header == "sent_at\tkind\trestaurant\torder\tsays"
    assert [row.split("\t")[1:] for row in rows[:2]] == [
        ["ticket", "restaurant-01", order, "2 x Margherita, 1 x Naan"],
        ["withdrawal", "restaurant-01", order, "cancelled"],
    ]
    assert rows[2] == "2 tickets"
    assert {event_id, withdrawn} <= {effect.event_id for effect in ticket_effects(stack)}


def test_what_is_no_ticket_is_shown_as_such(local_aws: LocalAws, stack: dict[str, str]) -> None:
    local_aws.client("sns").publish(TopicArn=stack["TAKEAWAY_TICKET_TOPIC"], Message="[no ticket")
    # It comes to the queue in its own time.
    odd = until(lambda: [one for one in sent_tickets(stack) if one.told is None])
    assert odd[-1].event_id.startswith("unreadable message ")
    assert run("ticket", "--last", "1").exit_code == 0


def test_an_audit_that_looks_at_the_same_time_is_waited_for(local_aws: LocalAws, stack: dict[str, str]) -> None:
    a_ticket(local_aws)
    sqs = local_aws.client("sqs")
    queue = stack["TAKEAWAY_AUDIT_QUEUE"]
    asked = {"QueueUrl": queue, "MaxNumberOfMessages": 1, "VisibilityTimeout": 60}
    [hidden] = until(lambda: sqs.receive_message(**asked).get("Messages"))
    try:
        error = run("ticket").exception
        assert isinstance(error, UserError)
        assert "120 s" in error.fix
    finally:
        sqs.change_message_visibility(QueueUrl=queue, ReceiptHandle=hidden["ReceiptHandle"], VisibilityTimeout=0)


def test_on_aws_it_is_said_that_nothing_can_be_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sent, "resolved", lambda: {"AWS_REGION": "eu-west-1"})
    for command in ("mail", "ticket"):
        error = run(command).exception
        assert isinstance(error, UserError)
        assert "AWS sends it and keeps no copy" in error.what
        assert "takeaway trace" in error.fix


def test_a_stack_without_the_audits_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sent, "resolved", lambda: {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"})
    error = run("ticket").exception
    assert isinstance(error, UserError)
    assert "takeaway deploy" in error.fix
