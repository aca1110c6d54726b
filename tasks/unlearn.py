"""Task: unlearn."""

from tasks.common import step_task
from tasks.progress import progress_of
from tmu.config import Params
from tmu.refs import DataRef, ForgetRef, ModelRef, TwinRef
from tmu.steps import unlearn_model as step
from tmu.workspace import Workspace


@step_task("unlearn", step.code_of, gpu=True)
def unlearn(
    home: str, data: DataRef, forget: ForgetRef, original: ModelRef, twin: TwinRef | None, params: Params
) -> ModelRef:
    """The configured method on one forget set."""
    title = f"unlearn ({params.unlearn.method})"
    return step.unlearn_model(Workspace.open(home), data, forget, original, twin, params, progress=progress_of(title))
