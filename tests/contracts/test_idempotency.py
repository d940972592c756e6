"""Remembered outcomes on a real DynamoDB API: the first one stands, whoever asks."""

import uuid
from datetime import timedelta

import pytest

from consumers.steps.outcomes import DynamoDBOutcomes
from foundation.clock import Clock
from foundation.dynamodb.reads import MAX_KEYS_PER_READ
from tests.conftest import LocalAws
from tests.support.builders import NOON

pytestmark = pytest.mark.local_aws


def outcomes(local_aws: LocalAws, application: str) -> DynamoDBOutcomes:
    return DynamoDBOutcomes(
        local_aws.client("dynamodb"),
        local_aws.environ["TAKEAWAY_OUTCOMES_TABLE"],
        application,
        keep=timedelta(days=30),
        clock=Clock(now=lambda: NOON, monotonic=lambda: 0.0),
        wait=lambda _seconds: False,
    )


def test_the_first_outcome_stands_and_the_loser_adopts_it(local_aws: LocalAws) -> None:
    application = f"test-{uuid.uuid4()}"
    one, other = outcomes(local_aws, application), outcomes(local_aws, application)
    assert one.remember("event-1", b"first") == b"first"
    assert other.remember("event-1", b"second") == b"first"
    assert other.recall(["event-1"]) == {"event-1": b"first"}


def test_applications_do_not_share_outcomes(local_aws: LocalAws) -> None:
    outcomes(local_aws, f"one-{uuid.uuid4()}").remember("event-1", b"mine")
    assert outcomes(local_aws, f"two-{uuid.uuid4()}").recall(["event-1"]) == {}


def test_more_events_than_one_read_takes_are_all_recalled(local_aws: LocalAws) -> None:
    store = outcomes(local_aws, f"test-{uuid.uuid4()}")
    names = [f"event-{index}" for index in range(MAX_KEYS_PER_READ + 5)]
    for name in names:
        store.remember(name, name.encode())
    assert store.recall([*names, "unknown", names[0]]) == {name: name.encode() for name in names}


def test_an_outcome_carries_its_end_for_dynamodbs_ttl(local_aws: LocalAws) -> None:
    application = f"test-{uuid.uuid4()}"
    outcomes(local_aws, application).remember("event-1", b"x")
    item = local_aws.client("dynamodb").get_item(
        TableName=local_aws.environ["TAKEAWAY_OUTCOMES_TABLE"], Key={"outcome_id": {"S": f"{application}/event-1"}}
    )["Item"]
    assert int(item["expires_at"]["N"]) == int((NOON + timedelta(days=30)).timestamp())
