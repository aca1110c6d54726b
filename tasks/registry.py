"""Tasks on the model registry: register, put into service. Their effect is outside the artifact store: not cached."""

from tasks.common import step_task
from tmu.config import Params
from tmu.refs import DataRef, ModelRef, ReferencesRef
from tmu.steps import promote_model, register_model
from tmu.steps.cases import Lineage
from tmu.steps.ledger.batch import Work
from tmu.steps.log_references import log_references
from tmu.steps.promote_model import Service
from tmu.stores.mlflow import Version
from tmu.workspace import Workspace


@step_task("register", cached=False)  # registering twice gives the same version; aliases must be set each time
def register(
    workspace: Workspace,
    data: DataRef,
    model: ModelRef,
    params: Params,
    aliases: list[str],
    lineage: Lineage = Lineage(),
) -> Version:
    """One model as a registered version, with its aliases."""
    version = register_model.register_model(workspace, data, model, params, lineage)
    for alias in aliases:
        workspace.registry.set_alias(register_model.dataset_name(workspace, data), alias, version)
    return version


@step_task("register-references", cached=False)
def register_references(workspace: Workspace, data: DataRef, references: ReferencesRef, params: Params) -> str:
    """A table's numbers as one run of MLflow; its id."""
    return log_references(workspace, data, references, params)


@step_task("promote", cached=False)
def promote(workspace: Workspace, data: DataRef, version: int, work: Work | None = None) -> Service:
    """Cut over, fenced by the batch's token."""
    return promote_model.promote_model(workspace, data, version, work)
