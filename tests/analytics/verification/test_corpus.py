"""The corpus as history, and as a stream that a lake is held against: each line and each record has one end."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.maintenance.backfill import BadLine
from analytics.verification.findings import Kind
from analytics.verification.proof import Verified, verify
from analytics.verification.rows import StreamRecord
from events.wire import UnreadableEvent, decode
from foundation.bucket import Bucket
from foundation.kinesis.records import SequenceNumber
from tests.support.corpus import GARBAGE, MEBIBYTE, ODD, any_record, large, numbered
from tests.support.worlds.kept_lake import backfill, lake_of_small_files
from tests.support.worlds.lake_world import SHARD, World

pytestmark = pytest.mark.slow

GIVEN = [data for data in [*GARBAGE.values(), *ODD.values()] if b"\n" not in data.strip(b" \t\r\n")]


def loaded(lines: list[bytes]) -> tuple[World, Any, list[BadLine]]:
    world, apart = World(), list[BadLine]()
    found = backfill(world).load("h", [line + b"\n" for line in lines], set_apart=apart.extend, slice_lines=8)
    return world, found, apart


def is_event(data: bytes) -> bool:
    try:
        decode(data)
    except UnreadableEvent:
        return False
    return True


def test_each_line_of_a_history_is_a_row_or_bad_or_empty() -> None:
    lines = [numbered(data, number) for number, data in enumerate(GIVEN)]
    world, found, apart = loaded(lines)
    assert found.lines == len(lines) == found.rows + found.bad + found.empty
    assert found.rows == len(world.visible()) == len(ODD)
    assert [one.data for one in apart] == [
        one for line in lines if (one := line.strip(b" \t\r\n")) and not is_event(one)
    ]
    assert verify(Bucket(world.bucket.client, world.bucket.name), world.log).ok


def test_lines_of_ten_mebibytes_are_rows_or_bad() -> None:
    lines = [*large(10 * MEBIBYTE).values()]
    _, found, _ = loaded(lines)
    assert (found.lines, found.rows) == (len(lines), sum(map(is_event, lines)))


@settings(max_examples=30)
@given(st.lists(any_record.filter(lambda data: b"\n" not in data), max_size=6))
def test_any_lines_are_rows_or_bad_or_duplicates_or_empty(lines: list[bytes]) -> None:
    _, found, _ = loaded(lines)
    assert found.lines == len(lines) == found.rows + found.bad + found.duplicates + found.empty


def held_against(data: list[bytes], *, set_apart: bool = False) -> Verified:
    world = lake_of_small_files()
    places = [SequenceNumber("0", sub) for sub in range(len(data))]  # the log covers them
    stream = [StreamRecord(SHARD, place, one, set_apart) for place, one in zip(places, data, strict=True)]
    return verify(Bucket(world.bucket.client, world.bucket.name), world.log, stream)


def test_a_verification_counts_whatever_the_stream_has() -> None:
    data = [*GARBAGE.values(), *ODD.values(), *large(MEBIBYTE).values()]
    apart = held_against(data, set_apart=True)
    assert apart.ok
    assert apart.counts["retained"] == apart.counts["retained_set_apart"] == len(data)
    missing = held_against(data)
    assert missing.counts["retained_missing"] == len(data)
    assert {one.kind for one in missing.findings} == {Kind.MISSING_RECORD}


@settings(max_examples=30)
@given(st.lists(any_record, max_size=6))
def test_any_records_are_counted_once(data: list[bytes]) -> None:
    counts = held_against(data).counts
    fates = ("in_the_lake", "waiting", "set_apart", "duplicate", "missing")
    assert counts["retained"] == len(data) == sum(counts[f"retained_{fate}"] for fate in fates)
