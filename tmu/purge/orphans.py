"""Objects of an S3 artifact store that no manifest lists: old versions, delete markers, and what was half removed.

Nobody can load an artifact from them, but who reads objects by version id can. An upload that is under way looks alike
until its manifest is there; so only what is older than the erasure counts.
"""

from collections.abc import Collection, Iterator
from datetime import datetime

from tmu import manifest
from tmu.deletion.deletion import Stage
from tmu.deletion.journal import Journal
from tmu.lineage.kinds import KINDS
from tmu.provenance import now
from tmu.purge.artifact_store import Copy, Listed
from tmu.stores.artifacts_s3 import S3Artifacts
from tmu.stores.s3_versions import Version
from tmu.workspace import Workspace

_ELSEWHERE = ("forget", "data")  # forget sets go last; data lie in DVC's stores


def orphans(workspace: Workspace, request: str, listed: Listed, but: Collection[str] = ()) -> Iterator[Copy]:
    """All of them, of every kind but forget sets; in a folder there are none. request: the deletion.

    but: addresses (`kind/key`) that are passed by.
    """
    store = workspace.artifacts
    deletion = Journal(workspace).known(request)
    erased = deletion.times.get(Stage.ERASED) if deletion else now()  # none: a restored backup is from before it
    if not isinstance(store, S3Artifacts) or erased is None:
        return
    for kind in sorted({each.artifact for each in KINDS if each.artifact} - {*_ELSEWHERE}):
        for uri, versions in listed.by_artifact(kind).items():
            decider = store.key(f"{uri}/{manifest.MANIFEST}")
            if uri in but or any(each.key == decider and each.latest and not each.marker for each in versions):
                continue
            if all(_older(store, each, datetime.fromisoformat(erased)) for each in versions):
                yield from (Copy(each.key, each.id, store.versions.lock(each)) for each in versions)


def _older(store: S3Artifacts, version: Version, than: datetime) -> bool:
    """Whether it was stored before; what is not the latest any more is no upload."""
    if version.marker or not version.latest:
        return True
    return store.stored_at(version.key) < than
