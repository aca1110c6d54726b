"""Tidy a workspace after a deletion: what was only needed on the way goes, so that it does not keep the person.

Kept are the artifacts, DVC's cache and the models: these are the purge's (`tmu/steps/purge.py`).
"""

from pathlib import Path

from tmu.data import contents, decoded
from tmu.data.index import prune
from tmu.files import discard, sweep
from tmu.stores.artifacts import LocalArtifacts
from tmu.stores.lock import locked
from tmu.workspace import Workspace


def tidy(workspace: Workspace) -> dict[str, int]:
    """Remove what is cached of old shards, unpacked old revisions, and what killed processes left half built.

    Returns how many of each were removed.
    """
    with locked(workspace.state("data.lock")):
        pruned = prune(workspace.state("index"), [workspace.data])
        pruned += contents.prune(workspace.contents, [workspace.data])
        pruned += decoded.prune(workspace.decoded, [workspace.data])
        revisions = [path for path in workspace.state("revisions").glob("[!.]*") if path.is_dir()]
        for path in revisions:
            discard(path)
        places = [
            workspace.root,
            workspace.state(),
            *(folder for top in _of_artifacts(workspace) for folder in top.glob("*")),
            *(
                workspace.state(name)
                for name in ("requests", "snapshots", "revisions", "references", "replays", "evidence", "decoded")
            ),
        ]
        swept = sum(sweep(place) for place in places)
        fits = _unfinished_fits(workspace)
    return {"index_parts": pruned, "revisions": len(revisions), "leftovers": swept, "unfinished_fits": fits}


def _of_artifacts(workspace: Workspace) -> set[Path]:
    """Where artifacts are built on this machine; also a folder that setting `artifacts` names, if it is not another's.

    Raises StorageError where it is.
    """
    found, store = {workspace.state("artifacts"), workspace.state("cache")}, workspace.artifacts
    if isinstance(store, LocalArtifacts):
        store.refuse_foreign()
        found.add(store.root)
    return found


def _unfinished_fits(workspace: Workspace) -> int:
    """Remove what interrupted fits of the references left: they were of a revision with records that are erased."""
    with locked(workspace.state("references", ".lock"), wait=False) as ours:
        found = [path for path in workspace.state("references").glob("[!.]*") if path.is_dir()] if ours else []
        for path in found:
            discard(path)
    return len(found)
