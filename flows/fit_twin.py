"""Flow `fit-twin`: prepare the predictor of the model in service, once per model and revision."""

from prefect import flow

from flows.fit_references import references_of
from flows.tell import tell
from flows.train_original import original_of
from tasks.models import fit_twin
from tmu.refs import TwinRef
from tmu.steps.loading import data_ref
from tmu.steps.register_model import champion_of
from tmu.unlearn import needs_references
from tmu.workspace import Workspace


@flow(name="fit-twin")
def fit_twin_flow(home: str = "") -> TwinRef | None:
    """What the configured method learns from: the references' twin problems, or the fine-tuned twin.

    Model and references are made first where there are none. None where the model has a ridge head, which needs no
    twin.
    """
    workspace = Workspace.open(home)
    if workspace.params.ridge_head:
        tell("The model has a ridge head: nothing is to be fitted.")
        return None
    data = data_ref(workspace)
    original = champion_of(workspace, data) or original_of(workspace, data, workspace.params)
    references = (
        references_of(workspace, data, workspace.params)
        if needs_references(workspace.params.approximate_method)
        else None
    )
    tell("Fitting the twin problem")
    return fit_twin(workspace, data, original, workspace.params, references)
