"""The evidence in the buckets, as docs/running.md tells an auditor to read it."""

import hashlib
import json
from typing import Any

import boto3

from tmu.settings import Settings


def client(settings: Settings, key: str | None, secret: str) -> Any:
    """A client of the store with some key."""
    return boto3.client(
        "s3",
        endpoint_url=settings.s3_endpoint,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        region_name="us-east-1",
    )


def folder(s3: Any, place: str) -> dict[str, bytes]:
    """The files of an artifact by name, each with the digest that its manifest gives. place: such as `audit/KEY`."""
    manifest = s3.get_object(Bucket="tmu-artifacts", Key=f"{place}/manifest.json")["Body"].read()
    digest, files = hashlib.sha256(manifest).hexdigest(), {"manifest.json": manifest}
    for name, listed in json.loads(manifest)["files"].items():
        files[name] = s3.get_object(Bucket="tmu-artifacts", Key=f"{place}/{digest}/{name}")["Body"].read()
        assert hashlib.sha256(files[name]).hexdigest() == listed
    return files
