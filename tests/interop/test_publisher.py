"""What our publisher aggregates is delivered by the real KCL: every event, once, each order's in order."""

from datetime import timedelta

from foundation.clock import SYSTEM_CLOCK, uninterrupted_wait
from foundation.diagnostics import Diagnostic
from producers.publishing.publication import Publication
from producers.publishing.publisher import RecordPublisher
from tests.interop.recorder import KCL
from tests.interop.world import SHARDS, World
from tests.support.tables import Tables

KEYS = 200
EVENTS_A_KEY = 25
FIRST_RECORD_SECONDS = 150.0


def test_aggregates_of_200_keys_are_delivered_by_the_kcl(world: World, tables: Tables) -> None:
    diagnostics: list[Diagnostic] = []
    records = [
        Publication(f"order-{at % KEYS}", f"order-{at % KEYS} {at:06d}".encode()) for at in range(KEYS * EVENTS_A_KEY)
    ]
    with RecordPublisher(
        world.kinesis,
        world.stream,
        clock=SYSTEM_CLOCK,
        wait=uninterrupted_wait(),
        emit=diagnostics.append,
        linger=timedelta(milliseconds=50),
    ) as publisher:
        publisher.put(records)
    published = [record.result(0) for record in records]
    world.put += [record.data.decode() for record in records]
    kcl = world.start(KCL)
    world.await_(lambda: world.lines() > 0, FIRST_RECORD_SECONDS, "a first record")
    world.await_(lambda: not world.missing(), 60, "every record")
    world.stop(kcl)
    aggregates = {one.sequence_number for one in published}
    tables.add(
        "our aggregates under the KCL",
        events=len(records),
        aggregates=len(aggregates),
        missing=world.missing(),
        doubled=world.doubled(),
    )
    assert len(aggregates) < len(records) / 10
    assert len({one.shard_id for one in published}) == SHARDS
    assert (world.missing(), world.doubled()) == (0, 0)
    places = {
        record.data.decode(): (told.sequence_number, told.sub_sequence_number)
        for record, told in zip(records, published, strict=True)
    }
    last: dict[str, str] = {}
    for one in world.seen():
        assert (one.number, one.sub) == places[one.data]
        order = one.data.split()[0]
        assert last.get(order, "") < one.data
        last[order] = one.data
