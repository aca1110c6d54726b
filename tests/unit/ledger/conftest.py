"""A fresh ledger for each test, in memory, at a time that the test moves."""

from collections.abc import Iterator

import pytest

from tests.ledger_tools import Travel, in_memory
from tmu.ledger.store import Ledger


@pytest.fixture
def now() -> Travel:
    return Travel()


@pytest.fixture
def ledger(now: Travel) -> Iterator[Ledger]:
    made = in_memory(now)
    yield made
    made.close()
