"""A sequence number is compared as Kinesis means it, and written as the lake has always written it."""

import operator
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundation.kinesis.records import SequenceNumber

NUMBERS = st.integers(0, 2**180)
SUBS = st.integers(0, 3)
COMPARISONS = [operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge]


@pytest.mark.parametrize("comparison", COMPARISONS)
@given(one=NUMBERS, one_sub=SUBS, other=NUMBERS, other_sub=SUBS, zeros=st.integers(0, 60))
def test_it_compares_as_its_integers_do_however_it_is_padded(
    comparison: Callable[[object, object], bool], one: int, one_sub: int, other: int, other_sub: int, zeros: int
) -> None:
    left, right = SequenceNumber(f"{one:0{zeros}d}", one_sub), SequenceNumber(str(other), other_sub)
    assert comparison(left, right) == comparison((one, one_sub), (other, other_sub))
    same = SequenceNumber(str(one), one_sub)
    assert comparison(left, same) == comparison(1, 1)
    assert hash(left) == hash(same)


def test_it_is_no_equal_of_anything_else() -> None:
    assert SequenceNumber("1") != "1"
    assert SequenceNumber("1") != (1, 0)


def test_as_json_it_has_the_names_that_offsets_and_the_log_were_always_written_with() -> None:
    body = msgspec.json.encode(SequenceNumber("0049", 2))
    assert body == b'{"sequence_number":"0049","sub_sequence_number":2}'
    assert msgspec.json.decode(body, type=SequenceNumber) == SequenceNumber("49", 2)


def test_the_text_has_the_sub_number_of_an_aggregated_record_only() -> None:
    assert [str(SequenceNumber("0049")), str(SequenceNumber("0049", 2))] == ["0049", "0049.2"]
