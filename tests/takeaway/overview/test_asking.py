"""A question asked again and again: one that hangs is asked once, a late answer is told, a slow service asked less."""

import threading

import pytest

from foundation.clock import SYSTEM_CLOCK
from takeaway.overview.asking import Question
from takeaway.overview.facts import Unknown
from tests.support.fakes.clock import FakeClock

pytestmark = pytest.mark.slow


def test_one_that_hangs_is_unknown_is_not_asked_twice_and_its_late_answer_is_told() -> None:
    release = threading.Event()
    asked: list[None] = []

    def ask() -> str:
        asked.append(None)
        release.wait(60)
        return "there"

    question = Question(ask, 0.01, SYSTEM_CLOCK)
    for _ in range(3):
        question.begin()
        assert question.answer() == Unknown("no answer within 0.01 s")
    assert len(asked) == 1
    release.set()
    while not question._asked or not question._asked.is_over:
        threading.Event().wait(0.01)
    question.begin()
    assert question.answer() == "there"
    assert len(asked) == 1


def test_it_is_asked_no_more_often_than_it_is_due_and_less_where_the_service_is_slow() -> None:
    time = FakeClock()
    asked: list[None] = []

    def ask() -> int:
        asked.append(None)
        return len(asked)

    question = Question(ask, 5, time.clock, every=4)
    question.begin()
    assert question.answer() == 1
    time.advance(3)
    question.begin()
    assert question.answer() == 1
    time.advance(1)
    question.begin()
    assert question.answer() == 2
    question._took = 2.0
    time.advance(9)
    question.begin()
    assert question.answer() == 2
    time.advance(1)
    question.begin()
    assert question.answer() == 3


def test_an_error_of_the_service_is_its_answer_and_a_bug_is_none() -> None:
    def refuses() -> str:
        raise OSError("refused")

    def breaks() -> str:
        raise ValueError("a bug")

    question = Question(refuses, 5, SYSTEM_CLOCK)
    question.begin()
    assert question.answer() == Unknown("refused")
    broken = Question(breaks, 5, SYSTEM_CLOCK)
    broken.begin()
    with pytest.raises(ValueError, match="a bug"):
        broken.answer()
