"""What the lease table takes from an answer besides its rows: the date, if it is one."""

from datetime import timedelta
from typing import Any

import pytest

from consumers.engines.worker.leases.table import LeaseTable
from tests.support.builders import NOON
from tests.support.fakes.clock import FakeClock
from tests.support.fakes.leases import FakeDynamoDB

SERVER = "Sat, 14 Mar 2026 11:59:00 GMT"
OWN = NOON + timedelta(seconds=30)


@pytest.mark.parametrize(
    ("headers", "since"),
    [
        ({"date": SERVER}, NOON - timedelta(minutes=1)),
        ({"date": f"{SERVER}, {SERVER}"}, OWN),
        ({"date": "yesterday"}, OWN),
        ({}, OWN),
    ],
)
def test_a_date_that_cannot_be_read_is_none(headers: dict[str, str], since: object, monkeypatch: Any) -> None:
    dynamodb = FakeDynamoDB()
    table = LeaseTable(dynamodb.client, "leases", "worker-1")
    table.create(FakeClock().wait)
    answers = {"Items": [], "ResponseMetadata": {"HTTPHeaders": headers}}
    monkeypatch.setattr(dynamodb.client, "get_paginator", lambda _: Paginator(answers))
    assert table.list() == {}
    assert table.latest_since(OWN) == since


class Paginator:
    def __init__(self, page: dict[str, Any]) -> None:
        self._page = page

    def paginate(self, **_: object) -> list[dict[str, Any]]:
        return [self._page]
