"""Requests side by side: answers in order, the first error in order, and none that goes on behind it."""

import time
from threading import Barrier

import pytest

from tmu.stores.side_by_side import side_by_side


def test_answers_come_in_the_order_of_the_questions_though_they_are_asked_at_once() -> None:
    together = Barrier(3, timeout=30)

    def ask(number: int) -> int:
        together.wait()  # breaks where they are asked one after the other
        time.sleep((3 - number) / 100)
        return number

    assert side_by_side(ask, [1, 2, 3]) == [1, 2, 3]
    assert side_by_side(str, []) == [] and side_by_side(str, [1]) == ["1"]


def test_an_error_is_raised_when_none_is_under_way_any_more() -> None:
    begun: list[int] = []
    ended: list[int] = []

    def ask(number: int) -> None:
        if number == 1:
            raise ValueError("the first")
        begun.append(number)
        time.sleep(0.05)
        ended.append(number)

    with pytest.raises(ValueError, match="the first"):
        side_by_side(ask, range(1, 20))
    assert sorted(begun) == sorted(ended)
