"""A service for each test; one with real records for planning."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.service_tools import Api, described_home


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return described_home(tmp_path)


@pytest.fixture
def api(home: Path) -> Iterator[Api]:
    made = Api(home)
    yield made
    made.close()
