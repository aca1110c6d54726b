"""Flow `train-original`: train on all training records, register, and put into service."""

from prefect import flow

from flows.tell import tell
from tasks.promote import promote
from tasks.register import register
from tasks.train_original import train_original
from tmu.refs import DataRef, ModelRef
from tmu.steps.loading import data_ref
from tmu.workspace import Workspace


@flow(name="train-original")
def train_original_flow(home: str = ".") -> ModelRef:
    """The original of the workspace's data as they are now; it becomes `original` and `champion`."""
    return original_of(home, data_ref(Workspace.open(home)))


def original_of(home: str, data: DataRef) -> ModelRef:
    """The two tasks, for flows that need an original first."""
    params = Workspace.open(home).params
    tell("Training the original")
    model = train_original(home, data, params)
    version = register(home, data, model, params, ["original"])
    promote(home, data, version.version)
    return model
