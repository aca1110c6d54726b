"""Register an original and put it into service."""

from tmu.config import Params
from tmu.refs import DataRef, ModelRef
from tmu.steps.promote_model import promote_model
from tmu.steps.register_model import dataset_name, register_model
from tmu.workspace import Workspace


def register_original(workspace: Workspace, data: DataRef, model: ModelRef, params: Params) -> int:
    """The number of the version, which is `original` and `champion` from now on."""
    version = register_model(workspace, data, model, params)
    workspace.registry.set_alias(dataset_name(workspace, data), "original", version)
    promote_model(workspace, data, version.version)
    return version.version
