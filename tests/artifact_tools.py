"""Artifact stores for tests: a folder's, and one in S3, which moto plays."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from tmu.stores.artifacts_s3 import S3Artifacts


@contextmanager
def emulated_bucket() -> Iterator[Any]:
    """The bucket of `s3`, empty."""
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"):
            patch.setenv(f"AWS_{name}", "test")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        made = boto3.resource("s3").Bucket("models")
        made.create()
        yield made


def s3(folder: Path) -> S3Artifacts:
    """The store as one machine sees it, with its cache below `folder`."""
    return S3Artifacts("models", "team/tmu", None, folder / "cache", folder)
