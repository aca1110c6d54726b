"""Flow `fit-twin`: prepare the predictor of the model in service, once per model and revision."""

from prefect import flow

from flows.tell import tell
from flows.train_original import original_of
from tasks.models import fit_twin
from tmu.refs import TwinRef
from tmu.steps.loading import data_ref
from tmu.steps.register_model import champion_of
from tmu.workspace import Workspace


@flow(name="fit-twin")
def fit_twin_flow(home: str = "") -> TwinRef:
    """The twin problem of the model in service (trained first where there is none)."""
    workspace = Workspace.open(home)
    data = data_ref(workspace)
    original = champion_of(workspace, data) or original_of(workspace, data, workspace.params)
    tell("Fitting the twin problem")
    return fit_twin(workspace, data, original, workspace.params)
