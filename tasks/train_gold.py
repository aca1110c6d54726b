"""Task: train a gold."""

from tasks.common import step_task
from tasks.progress import progress_of
from tmu.config import Params
from tmu.refs import DataRef, ForgetRef, ModelRef
from tmu.steps import train_model
from tmu.workspace import Workspace


@step_task("train-gold", train_model.code_of, gpu=True)
def train_gold(home: str, data: DataRef, forget: ForgetRef, params: Params, run: int) -> ModelRef:
    """M_g, the recipe without the forget set; run 0 is paired with the original, others are independent."""
    title = "train gold" if run == 0 else f"train gold {run + 1}"
    return train_model.train_gold(Workspace.open(home), data, forget, params, run=run, progress=progress_of(title))
