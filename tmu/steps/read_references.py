"""Find the references of a data revision, and read the rows of some of their shards, each verified by its digest."""

import json
from collections.abc import Sequence
from typing import Any

from tmu.config import Params
from tmu.errors import DataError
from tmu.references.rows import ReferenceRows
from tmu.references.shards import join, read_shard, shard_name
from tmu.refs import DataRef, ReferencesRef
from tmu.steps.making import lane_apart
from tmu.steps.references_table import INFO, recipe_of
from tmu.stores.artifacts import Held
from tmu.workspace import Workspace


def find_references(workspace: Workspace, data: DataRef, params: Params) -> ReferencesRef | None:
    """The table of this data revision by the recipe of `params`, fitted or left by an erasure; None without one.

    Manifests alone are read. Of several, one that was fitted on this very revision is preferred, then one that was
    trained under this machine's settings.
    """
    wanted, lane = recipe_of(params) | {"data": data.digest}, lane_apart(workspace, params.train)
    found = [
        held
        for held in workspace.artifacts.manifests("references")
        if {name: held.manifest["identity"].get(name) for name in wanted} == wanted
    ]
    found.sort(key=lambda held: (_stage(held) != "references", held.manifest["identity"].get("lane") != lane, held.uri))
    return ReferencesRef(uri=found[0].uri, digest=found[0].digest) if found else None


def _stage(held: Held) -> str:
    return held.manifest["identity"]["stage"]


def read_info(workspace: Workspace, ref: ReferencesRef) -> dict[str, Any]:
    """What a table is (`info.json`): networks, classes, records, what was erased since the fit."""
    return json.loads((workspace.artifacts.fetch(ref.uri, ref.digest, [INFO]) / INFO).read_text())


def read_run(workspace: Workspace, ref: ReferencesRef) -> dict[str, Any]:
    """What fitting a table took and when that was (`run.json`); outside of the digest."""
    return json.loads((workspace.artifacts.fetch(ref.uri, ref.digest, [INFO]) / "run.json").read_text())


def read_rows(workspace: Workspace, ref: ReferencesRef, buckets: Sequence[int] | None = None) -> ReferenceRows:
    """The rows of these buckets of the record store, of all splits; None: of all buckets.

    Only their files are fetched and verified. Raises StorageError where one was changed, DataError where the table
    leaves out a bucket (`references.most_records`).
    """
    info = read_info(workspace, ref)
    wanted = sorted(set(info["buckets"] if buckets is None else map(int, buckets)))
    absent = sorted(set(wanted) - set(info["buckets"]))
    if absent:
        raise DataError(
            f"The references hold no rows of {len(absent)} of the {len(wanted)} shards that are asked for.",
            "The table is of a part of the data: raise `references.most_records` and run `tmu references fit`.",
        )
    names = [shard_name(bucket) for bucket in wanted]
    folder = workspace.artifacts.fetch(ref.uri, ref.digest, names)
    parts = [read_shard(folder / name).rows(info["classes"]) for name in names]
    return join(parts, info["nets"], info["classes"])
