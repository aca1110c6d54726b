"""What the purge of one person's copies in the data costs as the data grow: `python -m bench.purge_growth`.

The records of `bench.growth` (30 a person) in 64 shards, with DVC's remote in a versioned bucket of moto's server. A
person is erased as a deletion does it; then the purge plans, acts and looks again, each with places of its own.
"""

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Annotated, Any
from unittest import mock

import typer

from bench import results
from bench.growth import PERSON, Synthetic, busy
from bench.stamp import stamp
from bench.tables.markdown import grid
from tmu.data.erase import apply_in_place, prepare
from tmu.data.importer import import_records
from tmu.data.store import RecordStore
from tmu.files import discard, write_atomic, write_json
from tmu.purge.places import data as data_places
from tmu.purge.scope import Scope
from tmu.refs import DataRef
from tmu.stores.s3_access import S3Access
from tmu.workspace import Workspace

COMMAND = "python -m bench.purge_growth"
_BUCKET = "growth"
_MOTO = """
import copy, sys, time, types
from moto.s3 import models
from moto.server import ThreadedMotoServer

class Untracked(list):
    def append(self, each):
        pass

# a list of versions copies all objects of the bucket with their bytes, and keeps the copies: gigabytes in a minute
models.FakeKey.instances_tracked = Untracked()
models.copy = types.SimpleNamespace(copy=copy.copy, deepcopy=list)
ThreadedMotoServer(ip_address="127.0.0.1", port=int(sys.argv[1]), verbose=False).start()
while True:
    time.sleep(1)
"""


def main(
    sizes: Annotated[str, typer.Option(help="Numbers of records.")] = "1000,10000,100000,1000000",
    repeats: Annotated[int, typer.Option(min=1, help="People that are purged, one after the other.")] = 5,
) -> None:
    """Measure and store `results/purge-growth.json` and `purge-growth.md`."""
    rows = []
    for size in sizes.split(","):
        with tempfile.TemporaryDirectory() as folder, _server() as url:
            rows.append({"records": int(float(size)), **_measured(Path(folder) / "w", url, int(float(size)), repeats)})
        typer.echo(json.dumps(rows[-1]))
    found = {"rows": rows, "repeats": repeats, **stamp(threads=1)}
    write_json(results.FOLDER / "purge-growth.json", found)
    write_atomic(results.FOLDER / "purge-growth.md", _page(found).encode())


def _measured(root: Path, url: str, size: int, repeats: int) -> dict[str, Any]:
    """Medians over people, by step: processor seconds and requests; and what was found, the same for everybody."""
    _prepare(root, url, size)
    runs = [_purged(Workspace.open(root), 2 * person) for person in range(repeats)]
    found = {f"{step}: {what}": median(run[step, what] for run in runs) for step, what in runs[0]}
    return {name: round(value, 4) for name, value in found.items()}


def _prepare(root: Path, url: str, size: int) -> None:
    """A workspace with its data in the bucket."""
    Workspace.create(root)
    (root / "tmu.toml").write_text(f'dvc_remote = "s3://{_BUCKET}/dvc"\ns3_endpoint = "{url}"\n')
    workspace = Workspace.create(root)
    import_records(Synthetic(size), workspace.data, workspace.keys(simulated=True), n_buckets=64)
    workspace.versions.commit(workspace.data)
    workspace.versions.push()


def _purged(workspace: Workspace, person: int) -> dict[tuple[str, str], float]:
    """What one person's purge took."""
    scope, cache = _erased(workspace, person), workspace.root / ".dvc" / "cache"
    taken: dict[tuple[str, str], float] = {}
    with _timed("plan without the local cache", taken):
        (cache / "files").replace(cache / "away")
        found = _found(workspace, scope)
        (cache / "away").replace(cache / "files")
    with _timed("plan", taken):
        found = _found(workspace, scope)
    taken["plan", "traces"] = len(found)
    with _timed("act", taken):
        by_name = {place.name: place for place in data_places.places(workspace)}
        for trace in found:
            by_name[trace.place].purge(scope, trace)
    with _timed("look again", taken):
        left = _found(workspace, scope)
    if left or not found:
        raise RuntimeError(f"{len(found)} traces were found before and {len(left)} after.")
    return taken


def _found(workspace: Workspace, scope: Scope) -> list[Any]:
    return [trace for place in data_places.places(workspace) for trace in place.find(scope)]


def _erased(workspace: Workspace, person: int) -> Scope:
    """The person's records are gone from the live data, and the new revision is pushed."""
    key = workspace.keys(simulated=True).subject(f"person-{person}")
    index = RecordStore.open(workspace.data).index()
    records = index.keys_at(index.find_subject(key))
    before, building = workspace.versions.revision(workspace.data), workspace.state("next")
    erasure = prepare(workspace.data, building, records, memo=workspace.md5s)
    apply_in_place(building, workspace.data, workspace.md5s)
    discard(building)
    after = workspace.versions.commit(workspace.data)
    workspace.versions.push()
    return Scope(
        request=f"{person:016x}",
        records=tuple(records),
        subjects=(key,),
        shards=erasure.shards_touched,
        before=DataRef(uri="data", digest=before),
        after=DataRef(uri="data", digest=after),
    )


@contextlib.contextmanager
def _timed(step: str, taken: dict[tuple[str, str], float]) -> Iterator[None]:
    """Note processor seconds (with DVC's) and the requests that leave this process."""
    sent: Counter[str] = Counter()
    real = S3Access.client

    def client(self: S3Access, **options: float) -> Any:
        made = real(self, **options)
        made.meta.events.register("before-send.s3", lambda event_name, **_: sent.update([event_name]))
        return made

    with mock.patch.object(S3Access, "client", client):
        started, before = time.perf_counter(), busy()
        yield
        taken[step, "processor seconds"] = busy() - before
        taken[step, "wall seconds"] = time.perf_counter() - started
    taken[step, "requests"] = sum(sent.values())


@contextlib.contextmanager
def _server() -> Iterator[str]:
    """Moto's server in a process of its own, with a versioned bucket."""
    import boto3

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    keys = {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench", "AWS_DEFAULT_REGION": "us-east-1"}
    command, nowhere = [sys.executable, "-c", _MOTO, str(port)], subprocess.DEVNULL
    with mock.patch.dict(os.environ, keys), subprocess.Popen(command, stdout=nowhere, stderr=nowhere) as server:
        try:
            url = f"http://127.0.0.1:{port}"
            client = boto3.client("s3", endpoint_url=url)
            _wait(client)
            client.put_bucket_versioning(Bucket=_BUCKET, VersioningConfiguration={"Status": "Enabled"})
            yield url
        finally:
            server.terminate()


def _wait(client: Any) -> None:
    from botocore.exceptions import BotoCoreError

    for _ in range(100):
        with contextlib.suppress(BotoCoreError):
            client.create_bucket(Bucket=_BUCKET)
            return
        time.sleep(0.3)
    raise RuntimeError("moto's server does not start.")


def _page(found: dict[str, Any]) -> str:
    rows = found["rows"]
    head = ("one person", *(f"{row['records']:,} records" for row in rows))
    names = [name for name in rows[0] if name != "records"]
    cells = [(name, *(f"{row[name]:.2f}" if "seconds" in name else f"{row[name]:g}" for row in rows)) for name in names]
    return "\n".join(
        [
            "# purge-growth: measured results",
            "",
            f"Made by `{COMMAND}`; do not edit. Medians of {found['repeats']} people ({PERSON} records each, one after",
            "the other), of whom the copies in DVC's cache and in a versioned bucket are purged; the live revision has",
            "64 shards. Without the local cache the person's old shard is read from the bucket to look into it; it is",
            "measured first, and most of its seconds are DVC telling its settings, once in a process.",
            "",
            f"Commit {found['commit'][:12]}, {found['at']}, on: {found['hardware']}.",
            "",
            *grid(head, cells),
            "",
        ]
    )


if __name__ == "__main__":
    typer.run(main)
