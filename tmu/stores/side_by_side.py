"""Requests to a store on the network, several at a time: each waits for an answer, and none for another."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

_AT_ONCE = 8
_Given, _Found = TypeVar("_Given"), TypeVar("_Found")


def side_by_side(ask: Callable[[_Given], _Found], given: Iterable[_Given]) -> list[_Found]:
    """The answers in the order of what was given. Raises the first error in that order, when none is under way."""
    asked = list(given)
    if len(asked) < 2:
        return [ask(each) for each in asked]
    with ThreadPoolExecutor(min(_AT_ONCE, len(asked))) as pool:
        return list(pool.map(ask, asked))
