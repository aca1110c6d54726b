"""Task: audit."""

from tasks.common import step_task
from tmu.config import Params
from tmu.refs import AuditRef, DataRef, ForgetRef, ModelRef, TwinRef
from tmu.steps import audit_models as step
from tmu.workspace import Workspace


@step_task("audit", step.code_of, gpu=True)
def audit(
    home: str,
    data: DataRef,
    forget: ForgetRef,
    original: ModelRef,
    golds: list[ModelRef],
    control: ModelRef | None,
    unlearned: ModelRef,
    twin: TwinRef | None,
    params: Params,
    notes: dict[str, str] | None = None,
) -> AuditRef:
    """The unlearned model beside its golds, the original and the control."""
    models = (original, golds, control, unlearned, twin)
    return step.audit_models(Workspace.open(home), data, forget, *models, params, notes=notes)
