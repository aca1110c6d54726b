"""What `tmu doctor` says of the ledger's database, the S3 store, and the clocks of all servers."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from tmu.check import Check
from tmu.errors import ConfigError, StorageError
from tmu.workspace import Workspace

SECONDS = 5.0
"""Limit of one call, and the difference between two clocks that is worth a warning."""

_ASKS = (302, 303, 307, 401, 403)
"""Answers of a server that wants to know who calls; a redirection leads to the page of a login."""


@dataclass(frozen=True)
class Probe:
    """A finding, and by how many seconds that server's clock is ahead of ours; None where it did not say."""

    check: Check
    ahead: float | None = None


def ledger(place: Workspace) -> Probe | None:
    """Reachable, and at the version of this program; None where there is none yet."""
    from sqlalchemy.exc import SQLAlchemyError

    from tmu.ledger.place import address, has_ledger

    if not has_ledger(place):
        return None
    try:
        return _ledger(address(place))
    except (StorageError, ConfigError) as error:
        return Probe(Check("ledger", "fail", error.what, error.hint))
    except SQLAlchemyError as error:
        return Probe(Check("ledger", "fail", f"refuses: {type(error).__name__}", "See the database's log."))


def _ledger(url: str) -> Probe:
    import sqlalchemy as sa

    from tmu.ledger import engine as database
    from tmu.ledger.upgrade import NEWEST, version_of

    parsed = sa.make_url(url)
    server = parsed.get_backend_name() == "postgresql"
    if server:
        parsed = parsed.update_query_dict({"connect_timeout": str(int(SECONDS))})
    engine = database.connect(parsed.render_as_string(hide_password=False))
    try:
        with database.transaction(engine, writes=False) as connection:
            before = time.time()
            there = connection.scalar(sa.text("SELECT clock_timestamp()")).timestamp() if server else None
            ahead = there - (before + time.time()) / 2 if server else None
            version = version_of(connection)
    finally:
        engine.dispose()
    kind = "PostgreSQL" if server else "SQLite"
    if version == NEWEST:
        return Probe(Check("ledger", "ok", f"{kind}, version {version}"), ahead)
    older = version is None or version < NEWEST
    hint = "`tmu ledger verify` brings it up to date." if older else "Use the newer tmu."
    return Probe(Check("ledger", "warn" if older else "fail", f"version {version}, wanted is {NEWEST}", hint), ahead)


def s3(place: Workspace) -> Probe | None:
    """Whether our key may list each bucket, and whether it keeps old versions; None where no bucket is named."""
    from botocore.exceptions import BotoCoreError, ClientError

    buckets = _buckets(place)
    if not buckets:
        return None
    hint = "Check that it runs (`make status`), and the address, the buckets and the key in the settings."
    try:
        client = _client(place)
        answers = {bucket: client.list_objects_v2(Bucket=bucket, MaxKeys=1) for bucket in buckets}
        kept = {bucket: client.get_bucket_versioning(Bucket=bucket).get("Status") for bucket in buckets}
    except ClientError as error:
        return Probe(Check("S3", "fail", f"answers {error.response['Error']['Code']}", hint))
    except (BotoCoreError, ConfigError) as error:
        return Probe(Check("S3", "fail", f"does not answer: {type(error).__name__}", hint))
    ahead = seconds_ahead(answers[buckets[0]]["ResponseMetadata"]["HTTPHeaders"].get("date"))
    plain = [bucket for bucket in buckets if kept[bucket] != "Enabled"]
    if plain:
        what = f"has no versioning in {', '.join(plain)}"
        return Probe(
            Check("S3", "warn", what, "Enable versioning, so that overwritten objects can be restored."), ahead
        )
    return Probe(Check("S3", "ok", f"lists {', '.join(buckets)}; versions are kept"), ahead)


def _buckets(place: Workspace) -> list[str]:
    named = (place.settings.artifacts, place.settings.dvc_remote, place.settings.mlflow_artifacts)
    return sorted({urlsplit(url).netloc for url in named if url and url.startswith("s3://")})


def _client(place: Workspace) -> Any:
    import boto3
    from botocore.config import Config

    from tmu.stores.s3_keys import s3_keys

    keys, settings = s3_keys(place.settings), place.settings
    config = Config(connect_timeout=SECONDS, read_timeout=SECONDS, retries={"max_attempts": 1, "mode": "standard"})
    options = keys.client_options() if keys else {}
    return boto3.client("s3", endpoint_url=settings.s3_endpoint, config=config, **options)


def page(name: str, url: str, hint: str) -> Probe:
    """Whether an address answers 200."""
    import httpx

    try:
        answer = httpx.get(url, timeout=SECONDS, trust_env=False)
    except httpx.HTTPError as error:
        return Probe(Check(name, "fail", f"does not answer: {type(error).__name__}", hint))
    if answer.status_code != 200:
        return Probe(Check(name, "fail", f"answers {answer.status_code}", hint))
    return Probe(Check(name, "ok", "answers"), seconds_ahead(answer.headers.get("date")))


def login(name: str, url: str, auth: tuple[str, str] | None, setting: str) -> Check:
    """Whether a server asks who calls, and lets us in. url: something that it must not show to everybody."""
    import httpx

    try:
        with httpx.Client(timeout=SECONDS, trust_env=False) as client:
            stranger, ours = client.get(url), client.get(url, auth=auth) if auth else None
    except httpx.HTTPError as error:
        return Check(name, "fail", f"does not answer: {type(error).__name__}", "See the server's log: `make logs`.")
    if stranger.status_code not in _ASKS:
        what = f"it answers without a login ({stranger.status_code}): anyone who reaches it can change everything"
        return Check(name, "fail", what, "Start it with a login, as `make up` does, or put one in front of it.")
    if ours is None or ours.status_code in _ASKS:
        what = "it refuses the configured login" if ours else "it asks for a login, and none is configured"
        return Check(name, "fail", what, f"Compare setting `{setting}` with the server's: `make login`.")
    return Check(name, "ok", "asks for a login, and accepts the configured one")


def seconds_ahead(date: str | None) -> float | None:
    """Seconds by which a Date header is ahead of our clock; it is cut to whole seconds."""
    return parsedate_to_datetime(date).timestamp() + 0.5 - time.time() if date else None


def clocks(probes: Iterable[Probe]) -> Check | None:
    """Whether all servers' clocks agree with ours: deadlines, leases and signatures go by them."""
    ahead = {probe.check.name: probe.ahead for probe in probes if probe.ahead is not None}
    if not ahead:
        return None
    wrong = {name: seconds for name, seconds in ahead.items() if abs(seconds) > SECONDS}
    if wrong:
        text = ", ".join(f"{name} is {seconds:+.0f} s off" for name, seconds in wrong.items())
        return Check("clocks", "warn", text, "Set the clocks by NTP on every machine.")
    return Check("clocks", "ok", f"within {SECONDS:.0f} s of this machine's: {', '.join(ahead)}")
