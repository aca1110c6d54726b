"""Tasks that make models and judge them: train, fit the twin, unlearn, audit. Cached: the same inputs give the same."""

from tasks.common import step_task
from tasks.progress import progress_of
from tmu.config import Params
from tmu.refs import AuditRef, DataRef, ForgetRef, ModelRef, ReferencesRef, TwinRef
from tmu.steps import audit_by_recomputation as by_equality
from tmu.steps import audit_by_references as by_table
from tmu.steps import audit_models, train_model, unlearn_model
from tmu.steps import fit_reference_twin as on_references
from tmu.steps import fit_references as referring
from tmu.steps import fit_twin as fitting
from tmu.steps.cases import AuditCase, RidgeAuditCase, TableAuditCase, UnlearnCase
from tmu.workspace import Workspace


@step_task("train-original", train_model.code_of, gpu=True)
def train_original(workspace: Workspace, data: DataRef, params: Params) -> ModelRef:
    """M_o, the recipe on the whole training split."""
    return train_model.train_original(workspace, data, params, progress=progress_of("train original"))


@step_task("train-gold", train_model.code_of, gpu=True)
def train_gold(workspace: Workspace, data: DataRef, forget: ForgetRef, params: Params, run: int) -> ModelRef:
    """M_g, the recipe without the forget set; run 0 is paired with the original, others are independent."""
    title = "train gold" if run == 0 else f"train gold {run + 1}"
    return train_model.train_gold(workspace, data, forget, params, run=run, progress=progress_of(title))


def _code_of_twin(params: Params) -> tuple[str, ...]:
    return (*fitting.code_of(params), *on_references.code_of(params))


@step_task("fit-references", referring.code_of, gpu=True)
def fit_references(workspace: Workspace, data: DataRef, params: Params) -> ReferencesRef:
    """The outputs of networks on random halves of a data revision."""
    return referring.fit_references(workspace, data, params, progress=progress_of("fit references"))


@step_task("fit-twin", _code_of_twin, gpu=True)
def fit_twin(
    workspace: Workspace, data: DataRef, original: ModelRef, params: Params, references: ReferencesRef | None = None
) -> TwinRef:
    """What one model's twin problems teach: those of the references where they are given, else the fine-tuned twin."""
    progress = progress_of("fit twin")
    if references is not None:
        return on_references.fit_reference_twin(workspace, data, original, references, params, progress=progress)
    return fitting.fit_twin(workspace, data, original, params, progress=progress)


@step_task("unlearn", unlearn_model.code_of, gpu=True)
def unlearn(workspace: Workspace, case: UnlearnCase) -> ModelRef:
    """The case's method on its forget set."""
    title = f"unlearn ({case.params.unlearn.method})"
    return unlearn_model.unlearn_model(workspace, case, progress=progress_of(title))


@step_task("audit", audit_models.code_of, gpu=True)
def audit(workspace: Workspace, case: AuditCase) -> AuditRef:
    """The unlearned model beside its golds, the original and the control."""
    return audit_models.audit_models(workspace, case)


@step_task("audit-by-references", by_table.code_of, gpu=True)
def audit_by_references(workspace: Workspace, case: TableAuditCase) -> AuditRef:
    """The unlearned model against the references' table, without golds."""
    return by_table.audit_by_references(workspace, case)


@step_task("audit-by-recomputation", by_equality.code_of, gpu=True)
def audit_by_recomputation(workspace: Workspace, case: RidgeAuditCase) -> AuditRef:
    """The statistics of the records that stay, summed anew, against those that the model was solved from."""
    return by_equality.audit_by_recomputation(workspace, case, progress=progress_of("audit by recomputation"))
