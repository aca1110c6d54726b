"""Task: train the original."""

from tasks.common import step_task
from tasks.progress import progress_of
from tmu.config import Params
from tmu.refs import DataRef, ModelRef
from tmu.steps import train_model
from tmu.workspace import Workspace


@step_task("train-original", train_model.code_of, gpu=True)
def train_original(home: str, data: DataRef, params: Params) -> ModelRef:
    """M_o, the recipe on the whole training split."""
    return train_model.train_original(Workspace.open(home), data, params, progress=progress_of("train original"))
