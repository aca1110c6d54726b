"""What tests of the compute backends share."""

import os
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def environment() -> Iterator[None]:
    """What tmu sets for Ray stays in its process; here it goes with the test."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)
