"""One suite for the pages' marks, in memory and in DynamoDB: a link is used once, a restaurant is open for a while."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from producers.pages.marks import MarksTable
from tests.support.builders import NOON
from tests.support.fakes.marks import FakeMarks

if TYPE_CHECKING:
    from tests.conftest import LocalAws

LATER = NOON + timedelta(hours=1)


@pytest.fixture(params=["memory", pytest.param("dynamodb", marks=pytest.mark.local_aws)])
def marks(request: pytest.FixtureRequest) -> Any:
    if request.param == "memory":
        return FakeMarks()
    local_aws: LocalAws = request.getfixturevalue("local_aws")
    return MarksTable(local_aws.client("dynamodb"), local_aws.environ["TAKEAWAY_OUTCOMES_TABLE"])


def test_of_many_that_redeem_one_link_at_once_one_is_the_first(marks: Any) -> None:
    link = uuid.uuid4().hex
    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(lambda _: marks.redeem(link, LATER), range(8))) == [False] * 7 + [True]
    assert not marks.redeem(link, LATER)
    assert marks.redeem(uuid.uuid4().hex, LATER)


def test_a_restaurant_is_open_until_it_is_closed_or_its_time_is_over(marks: Any) -> None:
    name, other = uuid.uuid4().hex, uuid.uuid4().hex
    assert not marks.is_open(name, NOON)
    marks.open(name, NOON + timedelta(minutes=1))
    marks.open(name, LATER)
    assert marks.is_open(name, NOON + timedelta(minutes=59))
    assert not marks.is_open(name, LATER)
    assert not marks.is_open(other, NOON)
    marks.close(name)
    marks.close(name)
    assert not marks.is_open(name, NOON)


class LostAnswer:
    """A client of DynamoDB whose first write is done, heard of by nobody, and sent again, as boto3 does by itself."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.exceptions = client.exceptions

    def put_item(self, **request: Any) -> Any:
        self._client.put_item(**request)
        return self._client.put_item(**request)

    def get_item(self, **request: Any) -> Any:
        return self._client.get_item(**request)


@pytest.mark.local_aws
def test_a_link_whose_use_is_sent_twice_for_want_of_an_answer_is_used_once(local_aws: "LocalAws") -> None:
    table, link = local_aws.environ["TAKEAWAY_OUTCOMES_TABLE"], uuid.uuid4().hex
    client: Any = LostAnswer(local_aws.client("dynamodb"))
    assert MarksTable(client, table).redeem(link, LATER)
    assert not MarksTable(local_aws.client("dynamodb"), table).redeem(link, LATER)
