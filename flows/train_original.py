"""Flow `train-original`: train on all training records, register, and put into service."""

from prefect import flow

from flows.tell import tell
from tasks.models import train_original
from tasks.registry import promote, register
from tmu.config import Params
from tmu.refs import DataRef, ModelRef
from tmu.steps.loading import data_ref
from tmu.workspace import Workspace


@flow(name="train-original")
def train_original_flow(home: str = ".") -> ModelRef:
    """The original of the workspace's data as they are now; it becomes `original` and `champion`."""
    workspace = Workspace.open(home)
    return original_of(workspace, data_ref(workspace), workspace.params)


def original_of(workspace: Workspace, data: DataRef, params: Params) -> ModelRef:
    """The three tasks, for flows that need an original first."""
    tell("Training the original")
    model = train_original(workspace, data, params)
    version = register(workspace, data, model, params, ["original"])
    promote(workspace, data, version.version)
    return model
