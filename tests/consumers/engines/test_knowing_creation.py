"""Under the KCL and on Lambda a process asks once which stream of its name there is."""

import pytest

from consumers import assembly
from consumers.diagnostics import StreamCreationUnknown
from consumers.processing import Progress, ShardAssignment
from foundation import aws
from foundation.diagnostics import Diagnostic
from foundation.kinesis.records import Batch, Position, Sentinel
from tests.support.fakes.clock import FakeClock
from tests.support.fakes.kinesis import FakeKinesis


class Opened:
    resume_after: Position = Sentinel.TRIM_HORIZON

    def process(self, _: Batch) -> Progress:
        raise NotImplementedError

    def flush(self) -> Progress:
        raise NotImplementedError


@pytest.mark.parametrize("may_ask", [True, False])
def test_each_shard_is_opened_with_the_creation_and_not_to_be_allowed_to_ask_is_told(
    monkeypatch: pytest.MonkeyPatch, may_ask: bool
) -> None:
    kinesis = FakeKinesis(FakeClock().clock)
    if not may_ask:
        kinesis.fail("describe_stream_summary", "AccessDeniedException", times=5)
    monkeypatch.setattr(aws, "client", lambda *_: kinesis.client)
    opened: list[ShardAssignment] = []
    told: list[Diagnostic] = []

    def factory(assignment: ShardAssignment) -> Opened:
        opened.append(assignment)
        return Opened()

    knowing = assembly.knowing_creation(factory, {}, told.append)
    for shard_id in ("shardId-000000000000", "shardId-000000000001"):
        knowing(ShardAssignment("orders", shard_id, Sentinel.TRIM_HORIZON))
    assert {one.creation for one in opened} == {"20260314T120000000Z" if may_ask else None}
    assert [type(one) for one in told] == ([] if may_ask else [StreamCreationUnknown])
    assert len(kinesis.calls("describe_stream_summary")) == 1
