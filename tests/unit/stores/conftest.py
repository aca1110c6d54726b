"""The artifact store of a test: in a folder, then in S3."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.artifact_tools import emulated_bucket, s3
from tmu.stores.artifacts import Artifacts, LocalArtifacts


@pytest.fixture
def bucket() -> Iterator[Any]:
    with emulated_bucket() as made:
        yield made


@pytest.fixture(params=["local", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Artifacts:
    if request.param == "local":
        return LocalArtifacts(tmp_path / "artifacts", tmp_path)
    request.getfixturevalue("bucket")
    return s3(tmp_path)
