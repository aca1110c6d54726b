"""Register models in MLflow: versions with tags and lineage, audit numbers by the same names, aliases."""

import json
from typing import Any

from tmu import manifest
from tmu.config import WHOLE, Params
from tmu.errors import ConfigError
from tmu.files import read_json
from tmu.models.bundle import Arch
from tmu.models.bundle_files import ARCH
from tmu.refs import AuditRef, DataRef, ModelRef
from tmu.steps.adopted import adoption_of
from tmu.steps.cases import Lineage
from tmu.steps.check_version import record_version
from tmu.steps.loading import open_store, run_record
from tmu.stores.mlflow import Version
from tmu.workspace import Workspace


def dataset_name(workspace: Workspace, data: DataRef) -> str:
    """The name under which a dataset's models are registered."""
    return open_store(workspace, data).info.dataset


def register_model(
    workspace: Workspace, data: DataRef, model: ModelRef, params: Params, lineage: Lineage = Lineage()
) -> Version:
    """Make a model a registered version (the same one when called again)."""
    run = run_record(workspace, model)
    method = params.unlearn.method if model.role == "unlearned" else model.role
    tags = {
        "parent": lineage.parent.weights if lineage.parent else "none",
        "forget_set_digest": lineage.forget.digest if lineage.forget else "none",
        "method": method,
        "artifact": json.dumps(model.model_dump(exclude={"kind"}), sort_keys=True),
        "config_digest": params.stored().digest(),
    }
    if lineage.request:
        tags["request"] = lineage.request
    adopted = adoption_of(workspace, model.weights)
    if adopted is not None and method == model.role:
        tags["lineage"] = f"adopted, recipe {adopted['recipe']}, records {adopted['records']}"
    counts = open_store(workspace, data).counts()
    version = workspace.registry.register(
        workspace.artifacts.fetch(model.uri, model.digest),
        dataset=dataset_name(workspace, data),
        role=model.role,
        params=params.stored().model_dump(mode="json", context=WHOLE),
        tags=tags,
        metrics={name: run[name] for name in ("seconds_total", "seconds_train") if name in run},
        data_digest=data.digest,
        n_records={split: sum(by_class.values()) for split, by_class in counts.items()},
        parent_run=lineage.run,
        history=run.get("history", []),
    )
    record_version(workspace, version)
    return version


def model_of(version: Version) -> ModelRef:
    """The reference to a registered version's bundle."""
    return ModelRef.model_validate(json.loads(version.tags["artifact"]))


def champion_of(workspace: Workspace, *revisions: DataRef, params: Params | None = None) -> ModelRef | None:
    """The model in service, or the one that waits to be (`audit.inconclusive`); None where there is none yet.

    Raises ConfigError where it was made for none of these data revisions: unlearning from it would not do what it says.
    """
    version = workspace.registry.get_alias(dataset_name(workspace, revisions[-1]), "champion")
    if version is None:
        return None
    wanted = {data.digest for data in revisions}
    if version.tags["data_revision"] not in wanted:
        version = _waiting(workspace, dataset_name(workspace, revisions[-1]), wanted) or version
    if version.tags["data_revision"] not in wanted:
        raise ConfigError(
            f"The model in service (version {version.version}) belongs to another data revision.",
            "Audit the last deletion (`tmu show requests`, `tmu audit --request ID`), or train again: "
            "`tmu train original --register`.",
        )
    model = model_of(version)
    if params is not None:
        refuse_other_recipe(workspace, model, params)
    return model


def _waiting(workspace: Workspace, dataset: str, revisions: set[str]) -> Version | None:
    """The last candidate, where it waits to be put into service and is of one of the revisions."""
    version = workspace.registry.get_alias(dataset, "candidate")
    if version is None or version.tags.get("serving") != "waits" or version.tags["data_revision"] not in revisions:
        return None
    return version


def refuse_other_recipe(workspace: Workspace, model: ModelRef, params: Params) -> None:
    """Raise ConfigError where parameters are not the recipe of a model: a gold must be trained as that was."""
    folder = workspace.artifacts.fetch(model.uri, model.digest)
    identity, arch, model = manifest.read(folder)["identity"], Arch.of(read_json(folder / ARCH)), params.model
    start = identity.get("start") or identity.get("model", {}).get("init_sha256")
    was = {
        "train": identity.get("train") or identity.get("recipe"),
        "model": [arch.name, arch.options, {"mean": arch.mean, "std": arch.std}, start],
        "seed": identity["seeds"]["order"],
    }
    now = {
        "train": params.train.model_dump(mode="json"),
        "model": [model.name, model.options, model.constants, model.init_sha256],
        "seed": params.seed,
    }
    for name in was:
        if was[name] != now[name]:
            raise ConfigError(
                f"`{name}` in params.yaml is not what the model in service was trained with.",
                "Restore it, or train again: `tmu train original --register`.",
            )


def log_audit(workspace: Workspace, audit: AuditRef, versions: dict[str, Version]) -> dict[str, Any]:
    """Tie the audit's numbers to each row's version, and its report to the last one; returns the audit as JSON."""
    folder = workspace.artifacts.fetch(audit.uri, audit.digest)
    result = json.loads((folder / "audit.json").read_text())
    for row in result["result"]["rows"]:
        if row["name"] in versions:
            cells = {name: cell["value"] for name, cell in row["metrics"].items() if cell is not None}
            workspace.registry.log_audit(versions[row["name"]], cells)
    workspace.registry.log_files(list(versions.values())[-1], folder, "audit")
    return result
