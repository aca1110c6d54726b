"""An S3 store with versions and two keys, for a scenario: moto with a key for the owner and one for the auditor."""

import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infra.stack.secret_file import BUCKETS


@contextmanager
def versioned_store(folder: Path) -> Iterator[dict[str, str]]:
    """The settings of a workspace whose data, models and MLflow's files lie in the store, while the block runs."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    keys = {"OWNER_KEY": secrets.token_hex(10).upper(), "OWNER_SECRET": secrets.token_hex(20)}
    keys |= {"AUDITOR_KEY": secrets.token_hex(10).upper(), "AUDITOR_SECRET": secrets.token_hex(20)}
    command = [sys.executable, "-m", "infra.stack.moto_main", str(port)]
    with (folder / "store.log").open("wb") as log:
        server = subprocess.Popen(command, env={**os.environ, **keys}, stdout=log, stderr=log)
    try:
        _answering(server, port)
        yield _settings(f"http://127.0.0.1:{port}", keys)
    finally:
        server.terminate()
        server.wait(20)


def _settings(endpoint: str, keys: dict[str, str]) -> dict[str, str]:
    owner = {"AWS_ACCESS_KEY_ID": keys["OWNER_KEY"], "AWS_SECRET_ACCESS_KEY": keys["OWNER_SECRET"]}
    return owner | {
        "AWS_DEFAULT_REGION": "us-east-1",
        "MLFLOW_S3_ENDPOINT_URL": endpoint,
        "TMU_S3_ENDPOINT": endpoint,
        "TMU_S3_READ_KEY": keys["AUDITOR_KEY"],
        "TMU_S3_READ_SECRET": keys["AUDITOR_SECRET"],
        "TMU_ARTIFACTS": f"s3://{BUCKETS['artifacts']}",
        "TMU_DVC_REMOTE": f"s3://{BUCKETS['dvc']}",
        "TMU_MLFLOW_ARTIFACTS": f"s3://{BUCKETS['mlflow']}",
    }


def _answering(server: subprocess.Popen[bytes], port: int) -> None:
    """Wait until it answers, if only to refuse. Raises RuntimeError where it does not start."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and server.poll() is None:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=2)
            return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError("The S3 store did not start.")
