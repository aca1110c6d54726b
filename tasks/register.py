"""Task: register a model in MLflow."""

from tasks.common import step_task
from tmu.config import Params
from tmu.refs import DataRef, ForgetRef, ModelRef
from tmu.steps import register_model as step
from tmu.stores.mlflow import Version
from tmu.workspace import Workspace


@step_task("register", cached=False)  # registering twice gives the same version; aliases must be set each time
def register(
    home: str,
    data: DataRef,
    model: ModelRef,
    params: Params,
    aliases: list[str],
    forget: ForgetRef | None = None,
    parent: ModelRef | None = None,
    request: str | None = None,
    parent_run: str | None = None,
) -> Version:
    """One model as a registered version, with its aliases."""
    workspace = Workspace.open(home)
    version = step.register_model(
        workspace, data, model, params, forget=forget, parent=parent, request=request, parent_run=parent_run
    )
    for alias in aliases:
        workspace.registry.set_alias(step.dataset_name(workspace, data), alias, version)
    return version
