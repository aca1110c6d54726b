"""Export a registered model, and keep a record of it, so that a later deletion names the copies that lie elsewhere."""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from tmu import manifest
from tmu.config import EXACT_HEAD, Config
from tmu.deletion.plan import RETRAIN
from tmu.errors import ConfigError, RequestError
from tmu.export.card import CARD, card
from tmu.export.formats import Form, chosen_forms
from tmu.files import digest_of, read_json, sha256_file, storage_errors, write_atomic, write_json
from tmu.models.bundle import Arch, load_bundle
from tmu.provenance import now
from tmu.start_file import said_of_start
from tmu.steps.check_version import checked_bundle
from tmu.stores.mlflow import Version
from tmu.workspace import Workspace

KIND, RECORD = "export", "export.json"
_WITHDRAWN = "withdrawn-"


class Export(Config):
    """One export. weights: SHA-256 of the model's. files: SHA-256 by name. at, withdrawn: ISO 8601; withdrawn: when its
    holder said that it is destroyed; empty: not yet.
    """

    id: str
    dataset: str
    version: int
    weights: str
    forms: tuple[str, ...]
    files: dict[str, str]
    at: str
    withdrawn: str = ""


def export_model(workspace: Workspace, version: Version, target: Path, names: Sequence[str]) -> Export:
    """Write a version in the named forms, with a model card, into the new folder `target`.

    The record is kept before the folder appears. Raises ConfigError where the folder is there already, a form is
    unknown or its package missing; DataError for a blocked or purged version; ModelError for a changed one.
    """
    forms = chosen_forms(names)
    if target.exists():
        raise ConfigError(f"{target} is there already.", "Name a new folder.")
    with checked_bundle(workspace, version) as bundle:
        model, arch, _ = load_bundle(bundle)
    with storage_errors(target), workspace.scratch() as scratch:
        made = scratch / "export"
        made.mkdir()
        for form in forms:
            form.write(model, arch, made)
        write_atomic(made / CARD, card(arch, forms, _facts(version), _limits(workspace, version)), private=False)
        export = _keep(workspace, version, forms, made, arch)
        target.parent.mkdir(parents=True, exist_ok=True)
        building = target.with_name(f".{target.name}.{export.id[:8]}")
        shutil.copytree(made, building)
        building.rename(target)
    return export


def _keep(workspace: Workspace, version: Version, forms: Sequence[Form], made: Path, arch: Arch) -> Export:
    files = {path.name: sha256_file(path) for path in sorted(made.iterdir())}
    facts = {
        "dataset": version.name.removeprefix("tmu-"),
        "version": version.version,
        "weights": version.weights_sha256,
        "forms": [form.NAME for form in forms],
        "files": files,
        "at": now(),
    }
    export = Export(id=digest_of(facts)[:16], **facts)
    identity = {"stage": KIND, "weights": export.weights, "id": export.id}
    with workspace.artifacts.create(KIND, export.id, identity, {"at": export.at}) as folder:
        write_json(folder / RECORD, export.model_dump(mode="json"))
    return export


def exports_of(workspace: Workspace) -> Iterator[Export]:
    """All exports of the workspace, oldest first."""
    folders = [workspace.artifacts.fetch(held.uri, held.digest) for held in workspace.artifacts.manifests(KIND)]
    withdrawn = {}
    found = []
    for folder in folders:
        kept = read_json(folder / RECORD)
        if manifest.read(folder)["identity"]["stage"] == KIND:
            found.append(Export.model_validate(kept))
        else:
            withdrawn[kept["id"]] = kept["at"]
    for export in sorted(found, key=lambda each: (each.at, each.id)):
        yield export.model_copy(update={"withdrawn": withdrawn.get(export.id, "")})


def withdraw_export(workspace: Workspace, id: str) -> Export:
    """Note that the holder of an export has destroyed it. Idempotent. Raises RequestError for an unknown export."""
    for export in exports_of(workspace):
        if export.id == id:
            if export.withdrawn:
                return export
            at = now()
            identity = {"stage": f"{KIND} withdrawn", "id": id}
            with workspace.artifacts.create(KIND, _WITHDRAWN + id, identity, {"at": at}) as folder:
                write_json(folder / RECORD, {"id": id, "at": at})
            return export.model_copy(update={"withdrawn": at})
    raise RequestError(f"There is no export `{id}`.", "`tmu export list` names them.")


def _facts(version: Version) -> dict[str, str]:
    facts = {"version": str(version.version), "role": version.role, "method": version.tags.get("method", "none")}
    facts |= {
        "data revision": version.tags.get("data_revision", "")[:12],
        "SHA-256 of the weights": version.weights_sha256,
    }
    return {name: value for name, value in facts.items() if value}


def _limits(workspace: Workspace, version: Version) -> list[str]:
    said = [
        "Records that are deleted later are still in this copy. The issuer keeps a record of it and asks its holder to "
        "destroy it then.",
        "Probabilities are those of the network: they are not calibrated.",
    ]
    start = said_of_start(workspace.params.model)
    if version.role == "unlearned" and version.tags.get("method") not in (RETRAIN, EXACT_HEAD):
        said.append("The model was made to forget records without being trained again: that is approximate.")
    return said + ([start] if start else [])
