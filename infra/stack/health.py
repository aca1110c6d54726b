"""Probes of health over HTTP, SQL, TCP and S3. Each answers None, or a short reason without addresses or secrets."""

import socket
from collections.abc import Callable
from datetime import datetime
from typing import Any

from infra.stack.ports import LOOPBACK
from infra.stack.server import Probe
from tmu.prefect_api import PrefectApi

_SECONDS = 5.0


def http(url: str) -> Probe:
    """Well where the address answers 200."""

    def probe() -> str | None:
        import httpx

        try:
            with httpx.Client(trust_env=False, timeout=_SECONDS) as client:
                answer = client.get(url)
        except httpx.HTTPError as error:
            return _reason(error)
        return None if answer.status_code == 200 else f"answers {answer.status_code}"

    return probe


def sql(**connection: Any) -> Probe:
    """Well where PostgreSQL lets us in and answers."""

    def probe() -> str | None:
        import psycopg

        try:
            with psycopg.connect(**connection, connect_timeout=int(_SECONDS)) as database:
                database.execute("SELECT 1")
        except psycopg.Error as error:
            return _reason(error)
        return None

    return probe


def tcp(port: int) -> Probe:
    """Well where something accepts connections."""

    def probe() -> str | None:
        try:
            socket.create_connection((LOOPBACK, port), timeout=_SECONDS).close()
        except OSError as error:
            return _reason(error)
        return None

    return probe


def s3(client: Any) -> Probe:
    """Well where the store lists the buckets of a signed call. `client`: a function that makes the boto3 client."""

    def probe() -> str | None:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            client(seconds=_SECONDS).list_buckets()
        except ClientError as error:
            return f"answers {error.response['Error']['Code']}"
        except BotoCoreError as error:
            return _reason(error)
        return None

    return probe


def worker(api: PrefectApi, pool: str, name: str, started: Callable[[], float]) -> Probe:
    """Well where the Prefect server has heard of the worker within its last heartbeats, and since it was started.

    started: Unix time at which the process began; the server takes a dead worker for living for 90 s.
    """

    def probe() -> str | None:
        import httpx

        try:
            with httpx.Client(trust_env=False, timeout=_SECONDS, auth=api.auth) as client:
                answer = client.post(f"{api.url}/work_pools/{pool}/workers/filter", json={})
        except httpx.HTTPError as error:
            return f"the Prefect server: {_reason(error)}"
        if answer.status_code != 200:
            return f"the Prefect server answers {answer.status_code}"
        found = next((each for each in answer.json() if each["name"] == name), None)
        if found is None:
            return "not known to the Prefect server yet"
        beat = datetime.fromisoformat(found["last_heartbeat_time"] or "1970-01-01T00:00:00+00:00")
        return None if found["status"] == "ONLINE" and beat.timestamp() >= started() else "no heartbeat"

    return probe


def _reason(error: Exception) -> str:
    names = " ".join(each.__name__ for each in type(error).__mro__)
    if "Timeout" in names or "timeout" in str(error):
        return "does not answer in time"
    if "Connect" in names or "refused" in str(error):
        return "refuses connections"
    return f"does not answer: {type(error).__name__}"
