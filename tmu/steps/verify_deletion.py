"""Verify in the stores what a deletion was to do; nothing that an earlier stage reported is trusted."""

from collections.abc import Collection

from tmu.data.digest import manifest
from tmu.data.index import Index
from tmu.data.info import read_info
from tmu.deletion.deletion import Deletion
from tmu.errors import DataError
from tmu.files import digest_of
from tmu.steps.erase_references import rows_left
from tmu.steps.erased_keys import erased_keys
from tmu.steps.loading import data_ref
from tmu.steps.register_model import dataset_name
from tmu.steps.store_keys import digest_of_records, keys_of
from tmu.workspace import Workspace


def verify_deletion(workspace: Workspace, deletion: Deletion) -> list[str]:
    """What was found to hold, in sentences. Raises DataError naming the first thing that does not.

    Looked at: the live records in the shards that the deletion rewrote, DVC's pointer, the rows of the references, the
    model in service and what it superseded. Not looked at: the other shards, of which `data.dvc` knows the digests
    (`tmu verify` reads them all); caches, old revisions and old versions in the stores, which the purge looks at.
    """
    found, current = _records_gone(workspace, deletion), data_ref(workspace)
    _require(workspace.versions.revision(workspace.data) == current.digest, "data.dvc names another revision.")
    found.append("`data.dvc` names the revision that lies in the workspace.")
    champion = workspace.registry.get_alias(dataset_name(workspace, current), "champion")
    waits = deletion.outcome is not None and deletion.outcome.waits
    if champion is not None and not waits and current.digest == deletion.data.digest and deletion.base:
        _require(champion.tags["data_revision"] == current.digest, "The model in service is of another revision.")
        learned = champion.weights_sha256 == deletion.base.weights
        _require(not learned, "The model in service is the one that learned the records.")
        _require(champion.tags.get("serving") != "blocked", "The model in service is blocked.")
        found.append(f"Version {champion.version} serves; it is not the model that learned the records.")
    return found


def _records_gone(workspace: Workspace, deletion: Deletion) -> list[str]:
    """No record is in the live data or in a table of references."""
    keys = erased_keys(workspace, deletion)
    if keys is None:
        return ["Its keys are destroyed; before that none of its records was found."]
    _require(_are_planned(workspace, deletion, keys), "The forget set is not the one of its plan.")
    index = Index.build(workspace.data, buckets=deletion.plan.shards)  # no cached one
    left = len(index.find_records(keys)[0])
    _require(not left, f"{left} of {len(keys)} records are still in the data.")
    rows = rows_left(workspace, keys)
    _require(not rows, f"{rows} rows of the records are still in the references.")
    return [f"None of the {len(keys)} records is in the live data.", "No row of the references is of them."]


def _are_planned(workspace: Workspace, deletion: Deletion, keys: Collection[str]) -> bool:
    """Whether the plan pins these keys, under the secret of the data or one before it; by none in oldest journals."""
    planned = "" if deletion.shredded else deletion.plan.records_digest
    if planned in ("", digest_of(sorted(keys))):  # 0.1.0 wrote a digest without a secret
        return True
    ring = keys_of(workspace, read_info(workspace.data)).ring
    return planned in {digest_of_records(each, keys) for each in ring}


def content_digest(workspace: Workspace) -> str:
    """SHA-256 over names and digests of all files of the live data: what `data_revision` evidence names."""
    return digest_of(manifest(workspace.data, workspace.md5s))


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise DataError(otherwise, "The deletion is not complete: run it again, then read the log of the run.")
