"""moto as the stand-in for S3: the stack's own keys, versioned buckets, and nobody else."""

import dataclasses
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from pydantic import SecretStr

from infra.stack import moto, s3, secret_file
from infra.stack.place import Stack

pytest.importorskip("moto.server")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    home = tmp_path_factory.mktemp("moto")
    secret_file.ensure(home, s3="moto", first_port=24000)
    made = Stack.open(home)
    (server,) = moto.servers(made)
    environment = {**made.environment("s3"), **server.environment}
    nowhere = subprocess.DEVNULL
    process = subprocess.Popen(server.command, env=environment, cwd=server.folder, stdout=nowhere, stderr=nowhere)
    deadline = time.monotonic() + 60
    while server.probe() is not None and time.monotonic() < deadline:
        time.sleep(0.2)
    yield made
    process.terminate()
    process.wait(20)


def _client(stack: Stack, key: str, secret: SecretStr) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=stack.need("s3_endpoint"),
        aws_access_key_id=key,
        aws_secret_access_key=secret.get_secret_value(),
        region_name="us-east-1",
    )


def test_the_auditor_reads_and_nobody_else_than_the_owner_writes(stack: Stack):
    settings = stack.settings
    owner = s3.client(stack)
    auditor = _client(stack, settings.s3_read_key, settings.s3_read_secret)
    version = owner.put_object(Bucket="tmu-artifacts", Key="a", Body=b"1")["VersionId"]
    owner.put_object(Bucket="tmu-artifacts", Key="a", Body=b"2")
    assert auditor.get_object(Bucket="tmu-artifacts", Key="a", VersionId=version)["Body"].read() == b"1"
    for attempt in (
        lambda: auditor.put_object(Bucket="tmu-artifacts", Key="b", Body=b""),
        lambda: auditor.delete_object(Bucket="tmu-artifacts", Key="a"),
        lambda: auditor.create_bucket(Bucket="mine"),
        lambda: _client(stack, settings.s3_access_key, SecretStr("wrong")).list_buckets(),
        lambda: _client(stack, "NOBODY", SecretStr("wrong")).list_buckets(),
    ):
        with pytest.raises(ClientError) as refused:
            attempt()
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_its_health_needs_the_right_key(stack: Stack):
    other = dataclasses.replace(stack, settings=stack.settings.model_copy(update={"s3_secret_key": SecretStr("wrong")}))
    (well,), (ill,) = moto.servers(stack), moto.servers(other)
    assert well.probe() is None
    assert ill.probe() == "answers SignatureDoesNotMatch"
