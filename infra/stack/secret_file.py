"""`.tmu/stack.toml`: ports, addresses and random secrets, made by the first start and kept from then on."""

import json
import os
import secrets
import tomllib
from collections.abc import Mapping
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
    """Make the file of the workspace at `home` where there is none; whether logins were made, for somebody to note.

    One of an earlier version gets the logins and buckets that it lacks.
    """
    path = home / STACK
    if not path.exists():
        values = _values(home, s3, ports.choose(first_port))
        write_atomic(path, (_HEADER + _lines(values)).encode(), private=True)
        return True
    text = path.read_text()
    logins = _logins()
    known = tomllib.loads(text)
    wanted = logins | _buckets() | ({"search_ledger": _reader(known["ledger"])} if "ledger" in known else {})
    missing = {name: value for name, value in wanted.items() if name not in known}
    if missing:
        write_atomic(path, (text.rstrip("\n") + "\n" + _lines(missing)).encode(), private=True)
    return not missing.keys().isdisjoint(logins)


def _lines(values: Mapping[str, str | int]) -> str:
    return "".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items())


def _logins() -> dict[str, str]:
    """Whoever has Prefect's may start deletions and approve them; MLflow's is also for what loads the models."""
    return {name: f"tmu:{secrets.token_urlsafe(24)}" for name in ("prefect_login", "mlflow_login")}


def _values(home: Path, s3: S3, port: dict[str, int]) -> dict[str, str | int]:
    stack_id = secrets.token_hex(16)

    def database(driver: str, name: str) -> str:
        return f"postgresql+{driver}://{name}:{secrets.token_hex(16)}@{LOOPBACK}:{port['postgres']}/{name}"

    return {
        "stack_id": stack_id,
        "prefect_api_url": f"http://{LOOPBACK}:{port['prefect']}/api",
        "mlflow_uri": f"http://{LOOPBACK}:{port['mlflow']}",
        "api_url": f"http://{LOOPBACK}:{port['api']}",
        **_logins(),
        "ledger": (ledger := database("psycopg", "tmu")),
        "search_ledger": _reader(ledger),
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
        **_buckets(),
    }


def _buckets() -> dict[str, str]:
    names = {"artifacts": "artifacts", "dvc_remote": "dvc", "mlflow_destination": "mlflow"}
    return {setting: f"s3://{BUCKETS[name]}" for setting, name in names.items()}


def _reader(ledger: str) -> str:
    """The ledger's address for the auditor, whose role may only read."""
    place = ledger.rpartition("@")[2]
    return f"postgresql+psycopg://auditor:{secrets.token_hex(16)}@{place}"


def _postgres_data(home: Path, stack_id: str) -> Path:
    """Beside the stack's other state; as root, who may not run PostgreSQL, where user postgres can get to."""
    beside = home / ".tmu" / "stack" / "postgres"  # .tmu is private, so that root always needs the other place
    if os.geteuid() == 0 and not postgres_may_enter(beside):
        return Path("/var/lib", f"tmu-{stack_id[:8]}", "postgres")
    return beside
