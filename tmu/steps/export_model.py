"""Export a registered model, and keep a record of it, so that a later deletion names the copies that lie elsewhere."""

import contextlib
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tmu.config import EXACT_HEAD, ModelConfig
from tmu.deletion.plan import RETRAIN
from tmu.errors import ConfigError, RequestError
from tmu.export.card import CARD, card
from tmu.export.formats import Form, chosen_forms
from tmu.export.kept import KIND, RECORD, Export, exports_of
from tmu.files import digest_of, sha256_file, storage_errors, write_atomic, write_json
from tmu.models.bundle import Arch, load_bundle
from tmu.provenance import now
from tmu.start_file import said_of_start
from tmu.steps.adopted import adoption_of
from tmu.steps.check_version import checked_bundle
from tmu.stores.mlflow import Version
from tmu.workspace import Workspace

_WITHDRAWN = "withdrawn-"


def export_model(workspace: Workspace, version: Version, target: Path, names: Sequence[str]) -> Export:
    """Write a version in the named forms, with a model card, into the new folder `target`.

    The record is kept before the folder appears. Raises ConfigError where the folder is there already, a form is
    unknown or its package missing; DataError for a blocked or purged version; ModelError for a changed one.
    """
    forms = chosen_forms(names)
    if target.exists():
        raise ConfigError(f"{target} is there already.", "Name a new folder.")
    with checked_bundle(workspace, version) as bundle:
        model, arch, identity = load_bundle(bundle)
    with storage_errors(target), workspace.scratch() as scratch:
        made = scratch / "export"
        made.mkdir()
        for form in forms:
            form.write(model, arch, made)
        limits = limits_of(workspace, version, identity)
        write_atomic(made / CARD, card(arch, forms, _facts(version), limits), private=False)
        export = _keep(workspace, version, forms, made, arch)
        target.parent.mkdir(parents=True, exist_ok=True)
        building = target.with_name(f".{target.name}.{export.id[:8]}")
        try:
            shutil.copytree(made, building)
            building.rename(target)
        except BaseException:
            shutil.rmtree(building, ignore_errors=True)
            raise
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


def limits_of(workspace: Workspace, version: Version, identity: Mapping[str, Any]) -> list[str]:
    """identity: of the version's own bundle; params.yaml may have moved on."""
    said = [
        "Records that are deleted later are still in this copy. The issuer keeps a record of it and asks its holder to "
        "destroy it then.",
        "Probabilities are those of the network: they are not calibrated.",
    ]
    method = version.tags.get("method")
    if version.role == "unlearned" and method == EXACT_HEAD:
        said.append("The head was solved without the erased records: that is exact, for the network is frozen.")
    elif version.role == "unlearned" and method != RETRAIN:
        said.append("The model was made to forget records without being trained again: that is approximate.")
    if adoption_of(workspace, version.weights_sha256) is not None:
        said.append("The model, or the one that it was unlearned from, was trained elsewhere and adopted.")
    start = said_of_start(_start_of(workspace, identity))
    return said + ([start] if start else [])


def _start_of(workspace: Workspace, identity: Mapping[str, Any]) -> ModelConfig:
    """What a bundle started from; in words, too, where params.yaml still says so."""
    sha256 = identity.get("start") or identity.get("model", {}).get("init_sha256")
    with contextlib.suppress(ConfigError):  # its start may be gone, and the model is here
        if sha256 and workspace.params.model.init_sha256 == sha256:
            return workspace.params.model
    return ModelConfig(init_sha256=sha256)
