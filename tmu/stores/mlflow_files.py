"""The files behind an address of MLflow's artifacts, wherever they lie: found, with all old versions, and destroyed.

    tmu-workspace:/…       a folder of the workspace (`mlflow_place`)
    s3://bucket/…          S3, where MLflow's clients write there themselves
    mlflow-artifacts:/…    the setting `mlflow_destination`: a bucket or folder in which MLflow's server keeps them

Without that setting the server is asked to delete them. In a bucket with versions that leaves delete markers, behind
which old versions stay readable: `Files.reaches_versions` tells.
"""

import hashlib
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tmu.errors import StorageError
from tmu.files import sha256_file, storage_errors
from tmu.stores import mlflow_link
from tmu.stores.mlflow_package import BUNDLE
from tmu.stores.mlflow_versions import repository
from tmu.stores.s3_access import S3Access, bucket_and_prefix
from tmu.stores.s3_versions import S3Versions, Version

PROXIED = "mlflow-artifacts"
_ONE_THING = re.compile(r"/(models/m-[0-9a-f]{32}|[0-9a-f]{32})/?$")
_WEIGHTS = f"artifacts/{BUNDLE}/weights.safetensors"


@dataclass(frozen=True)
class Locked:
    """A version in S3 that Object Lock or a legal hold keeps. until: ISO 8601, empty where that is not known."""

    address: str
    version: str
    why: str
    until: str


class Files:
    """home: the workspace's `.tmu`. destination: of an MLflow server, as in the settings; None: not known here."""

    def __init__(self, home: Path, access: S3Access, tracking_uri: str, destination: str | None = None) -> None:
        self._home, self._access, self._tracking, self._destination = home, access, tracking_uri, destination
        self._buckets: dict[str, S3Versions] = {}

    def physical(self, address: str) -> str:
        """Where an address leads: `s3://…`, a folder's path, or the address itself where only the server knows."""
        mlflow_link.quiet()  # imports MLflow, which must import the module of its plugin itself
        from tmu.stores.mlflow_place import FOLDER, SCHEME

        scheme, inside = urlsplit(address).scheme, urlsplit(address).path.strip("/")
        if scheme == SCHEME:
            return str(self._home / FOLDER / inside)
        if scheme == PROXIED and self._destination:
            return f"{self.physical(self._destination).rstrip('/')}/{inside}"
        if scheme in ("file", ""):
            return unquote(urlsplit(address).path)
        return address

    def reaches_versions(self, address: str) -> bool:
        """Whether everything behind an address can be destroyed from here, old versions too."""
        return not self.physical(address).startswith(f"{PROXIED}:")

    def found(self, address: str) -> tuple[bool, list[Locked]]:
        """Whether anything lies there that can be destroyed (old versions and delete markers count), and what cannot.

        Empty folders count.
        """
        place = self.physical(address)
        if not place.startswith("s3://"):
            return self._exists(address, place), []
        free, kept = False, []
        for version in self._versions(place):
            lock = self._bucket(place).lock(version)
            if lock.closed():
                until = "" if lock.hold or lock.until is None else lock.until.date().isoformat()
                kept.append(Locked(f"s3://{self._bucket(place).bucket}/{version.key}", version.id, str(lock), until))
            else:
                free = True
        return free, kept

    def _exists(self, address: str, place: str) -> bool:
        if self.reaches_versions(address):
            return Path(place).exists()
        with mlflow_link.refusals():
            return bool(repository(f"{address}/artifacts", self._tracking).list_artifacts())

    def destroy(self, address: str) -> None:
        """Destroy all that lies at the address of one model or run, as `models/m-…` or a run's id; twice is no error.

        What is locked stays. Raises StorageError, also for an address of more than one thing.
        """
        if not _ONE_THING.search(address):
            raise StorageError("This address is not one of a single model or run.", "Nothing was destroyed.")
        place = self.physical(address)
        if place.startswith("s3://"):
            bucket = self._bucket(place)
            bucket.destroy(each for each in self._versions(place) if not bucket.lock(each).closed())
        elif self.reaches_versions(address):
            with storage_errors(place):
                shutil.rmtree(place, ignore_errors=not Path(place).exists())
        else:
            with mlflow_link.refusals():
                repository(f"{address}/artifacts", self._tracking).delete_artifacts()

    def strays(self, experiment: str, known: frozenset[str]) -> Iterator[tuple[str, str]]:
        """MLflow's id and the weights' SHA-256 of each model below an experiment's address that MLflow has no row of.

        known: the ids that it has rows of; their bytes are not read. Old versions in S3 count. None where only the
        server knows the place.
        """
        place = self.physical(f"{experiment.rstrip('/')}/models")
        if place.startswith("s3://"):
            yield from self._strays_in_bucket(place, known)
        elif self.reaches_versions(experiment):
            for path in sorted(Path(place).glob(f"m-*/{_WEIGHTS}")):
                id_ = path.relative_to(place).parts[0]
                if id_ not in known:
                    yield id_, sha256_file(path)

    def _strays_in_bucket(self, place: str, known: frozenset[str]) -> Iterator[tuple[str, str]]:
        _, prefix = bucket_and_prefix(place)
        for version in self._versions(place):
            id_, _, inside = version.key.removeprefix(f"{prefix}/").partition("/")
            if inside == _WEIGHTS and id_ not in known:
                content = self._bucket(place).read(version)
                if content is not None:
                    yield id_, hashlib.sha256(content).hexdigest()

    def _versions(self, place: str) -> Iterator[Version]:
        _, prefix = bucket_and_prefix(place)
        return self._bucket(place).under(f"{prefix}/")

    def _bucket(self, place: str) -> S3Versions:
        name, _ = bucket_and_prefix(place)
        return self._buckets.setdefault(name, S3Versions(name, self._access))
