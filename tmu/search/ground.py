"""Where a search looks, and with what rights: settings, credentials, scratch."""

import getpass
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from tmu.search.containers import Part
from tmu.search.look import Thing
from tmu.search.report import Access, NotLookedAt
from tmu.workspace import Workspace


@dataclass(frozen=True)
class Table:
    """A part of a store that is no file: its columns, already taken out."""

    haystack: str
    address: str
    parts: Iterator[Part]


Found = Thing | Table | NotLookedAt


@dataclass(frozen=True)
class Ground:
    """scratch: a private folder. also: further folders to look at. own: files of the verifier, which are not looked at.

    shards: look for shards and listings alone: of large other objects in S3 only the first bytes are fetched.
    tables: look at tables and at the files of a database's server, too.
    copies: small objects' versions that the first look fetched into `scratch`, for the second: path, and what the
    store tells beside the bytes. told: by its address, what a server told the first look. here: for an inventory alone,
    files of this machine by MD5 and size: an object of which the listing tells the same is not fetched.
    """

    workspace: Workspace
    scratch: Path
    also: tuple[Path, ...] = ()
    own: tuple[Path, ...] = ()
    shards: bool = False
    tables: bool = True
    copies: dict[Path, str] = field(default_factory=dict)
    told: dict[str, dict[str, list[Any]]] = field(default_factory=dict)
    here: dict[tuple[str, int], Path] | None = None

    @property
    def root(self) -> Path:
        """The workspace's folder."""
        return self.workspace.root

    def is_own(self, path: Path) -> bool:
        """Whether a path is the verifier's, outside the workspace: pictures, inventory, scratch."""
        mine = [each for each in (*self.own, self.scratch) if not each.is_relative_to(self.root)]
        return any(path.is_relative_to(each) for each in mine)


class Haystack(Protocol):
    """One kind of store. name: as the report calls it."""

    name: str

    def found(self, ground: Ground) -> Iterator[Found]:
        """Everything in it, each thing once; what cannot be read is yielded as such."""
        ...

    def accesses(self, ground: Ground) -> Iterator[Access]:
        """What the searcher could do there."""
        ...


def account() -> str:
    """The account of this process, as `name (uid N)`."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = "unknown"
    return f"{name} (uid {os.getuid()})"


def s3_client(workspace: Workspace, attempts: int = 5) -> tuple[Any, str]:
    """A client of the search's own, and whose credentials it has: the auditor's (`s3_read_key`) where they are set."""
    import boto3
    from botocore.config import Config

    settings = workspace.settings
    options: dict[str, Any] = {"connect_timeout": 10, "read_timeout": 60, "retries": {"total_max_attempts": attempts}}
    if settings.s3_checksums is not None:
        options |= {"request_checksum_calculation": settings.s3_checksums}
        options |= {"response_checksum_validation": settings.s3_checksums}
    pairs = {
        "s3_read_key": (settings.s3_read_key, settings.s3_read_secret),
        "s3_access_key": (settings.s3_access_key, settings.s3_secret_key),
    }
    chosen, keys = "AWS_* variables", {}
    for name, (key, secret) in pairs.items():
        if key is not None and secret is not None:
            chosen, keys = name, {"aws_access_key_id": key, "aws_secret_access_key": secret.get_secret_value()}
            break
    region = os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    made = boto3.client("s3", endpoint_url=settings.s3_endpoint, region_name=region, config=Config(**options), **keys)
    return made, chosen
