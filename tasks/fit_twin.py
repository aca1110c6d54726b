"""Task: fit the twin problem."""

from tasks.common import step_task
from tasks.progress import progress_of
from tmu.config import Params
from tmu.refs import DataRef, ModelRef, TwinRef
from tmu.steps import fit_twin as step
from tmu.workspace import Workspace


@step_task("fit-twin", step.code_of, gpu=True)
def fit_twin(home: str, data: DataRef, original: ModelRef, params: Params) -> TwinRef:
    """Twin model, curriculum nets and predictor of one model on one data revision."""
    return step.fit_twin(Workspace.open(home), data, original, params, progress=progress_of("fit twin"))
