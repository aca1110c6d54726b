"""`.tmu/stack.toml`: ports, addresses and random secrets, made by the first start and kept from then on."""

import json
import os
import secrets
from pathlib import Path
from typing import Literal

from infra.stack import ports
from infra.stack.ports import LOOPBACK
from infra.stack.users import postgres_may_enter
from tmu.files import write_atomic
from tmu.settings import STACK

S3 = Literal["ceph", "moto"]
BUCKETS = {"artifacts": "tmu-artifacts", "dvc": "tmu-dvc", "mlflow": "tmu-mlflow"}
_HEADER = """\
# Made by the first `make up`: ports that were free, random secrets. Keep it private, back it up, never commit it.
# Settings in the environment (TMU_...) and in tmu.toml win over it. docs/running.md says what each is.
"""


def ensure(home: Path, *, s3: S3, first_port: int | None = None) -> bool:
    """Make the file of the workspace at `home` where there is none; whether it was made."""
    path = home / STACK
    if path.exists():
        return False
    lines = [f"{name} = {json.dumps(value)}" for name, value in _values(home, s3, ports.choose(first_port)).items()]
    write_atomic(path, (_HEADER + "\n".join(lines) + "\n").encode(), private=True)
    return True


def _values(home: Path, s3: S3, port: dict[str, int]) -> dict[str, str | int]:
    stack_id = secrets.token_hex(16)

    def database(driver: str, name: str) -> str:
        return f"postgresql+{driver}://{name}:{secrets.token_hex(16)}@{LOOPBACK}:{port['postgres']}/{name}"

    return {
        "stack_id": stack_id,
        "prefect_api_url": f"http://{LOOPBACK}:{port['prefect']}/api",
        "mlflow_uri": f"http://{LOOPBACK}:{port['mlflow']}",
        "api_url": f"http://{LOOPBACK}:{port['api']}",
        "ledger": database("psycopg", "tmu"),
        "prefect_database": database("asyncpg", "prefect"),
        "mlflow_database": database("psycopg", "mlflow"),
        "postgres_data": str(_postgres_data(home, stack_id)),
        "postgres_password": secrets.token_hex(16),
        "s3_server": s3,
        "s3_endpoint": f"http://{LOOPBACK}:{port['s3']}",
        **({"ceph_mon_port": port["ceph_mon"]} if s3 == "ceph" else {}),
        "s3_access_key": secrets.token_hex(10).upper(),
        "s3_secret_key": secrets.token_hex(20),
        "s3_read_key": secrets.token_hex(10).upper(),
        "s3_read_secret": secrets.token_hex(20),
        "artifacts": f"s3://{BUCKETS['artifacts']}",
        "dvc_remote": f"s3://{BUCKETS['dvc']}",
    }


def _postgres_data(home: Path, stack_id: str) -> Path:
    """Beside the stack's other state; as root, who may not run PostgreSQL, where user postgres can get to."""
    beside = home / ".tmu" / "stack" / "postgres"  # .tmu is private, so that root always needs the other place
    if os.geteuid() == 0 and not postgres_may_enter(beside):
        return Path("/var/lib", f"tmu-{stack_id[:8]}", "postgres")
    return beside
