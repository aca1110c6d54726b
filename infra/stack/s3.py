"""What both S3 stores share: the client, the versioned buckets, and who may only read them."""

import json
from collections.abc import Iterable
from typing import Any

from infra.stack.place import Stack
from infra.stack.secret_file import BUCKETS

OWNER, AUDITOR = "tmu", "auditor"
_READS = [
    "s3:ListBucket",
    "s3:ListBucketVersions",
    "s3:ListBucketMultipartUploads",
    "s3:GetBucketLocation",
    "s3:GetBucketVersioning",
    "s3:GetObject",
    "s3:GetObjectVersion",
]


def client(stack: Stack, *, seconds: float = 30.0) -> Any:
    """The boto3 client of the owner's key; `seconds` is the longest wait for an answer."""
    import boto3
    from botocore.config import Config

    return boto3.client(
        "s3",
        endpoint_url=stack.need("s3_endpoint"),
        aws_access_key_id=stack.need("s3_access_key"),
        aws_secret_access_key=stack.need("s3_secret_key"),
        region_name="us-east-1",
        config=Config(connect_timeout=seconds, read_timeout=seconds, retries={"max_attempts": 1}, proxies={}),
    )


def make_buckets(stack: Stack) -> None:
    """The buckets, each with versions kept and the auditor let in to read; may be repeated."""
    store = client(stack)
    known = {each["Name"] for each in store.list_buckets()["Buckets"]}
    for bucket in BUCKETS.values():
        if bucket not in known:
            store.create_bucket(Bucket=bucket)
            store.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy([bucket], principal=True)))
            store.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})


def policy(buckets: Iterable[str], *, principal: bool) -> dict[str, Any]:
    """Leave to list and read those buckets. `principal`: name the auditor, as a bucket's policy must."""
    who = {"Principal": {"AWS": [f"arn:aws:iam:::user/{AUDITOR}"]}} if principal else {}
    named = [arn for bucket in buckets for arn in (f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*")]
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **who, "Action": _READS, "Resource": named}]}
