"""Fix the model in service: store the workspace's sound copy in MLflow again, as a new version that then serves.

For stored files that were changed, and for versions that an older tmu registered with code in the store.
"""

from tmu.data.info import read_info
from tmu.errors import DataError, RequestError
from tmu.steps.check_version import record_version, recorded_weights
from tmu.steps.cut_over import refuse_blocked
from tmu.steps.loading import data_ref
from tmu.steps.promote_model import promote_model
from tmu.steps.register_model import model_of
from tmu.stores.mlflow import Version
from tmu.workspace import Workspace


def store_again(workspace: Workspace) -> Version:
    """Register the model in service anew and promote it. Returns the new version.

    Raises RequestError where none is in service, DataError where that one is blocked or another than on record,
    StorageError where the workspace has no sound copy.
    """
    dataset = read_info(workspace.data).dataset
    champion = workspace.registry.get_alias(dataset, "champion")
    if champion is None:
        raise RequestError("No model is in service.", "`tmu train original --register` puts one there.")
    model, weights = model_of(champion), recorded_weights(workspace, champion)
    if {model.weights, champion.weights_sha256} != {weights}:
        raise DataError(
            f"MLflow's alias or tags name another model for version {champion.version} than was put into service.",
            "They were changed outside of the flows: find out by whom, and put the right version into service.",
        )
    refuse_blocked(workspace, champion)
    again = workspace.registry.register_again(champion, workspace.artifacts.fetch(model.uri, model.digest))
    record_version(workspace, again)
    promote_model(workspace, data_ref(workspace), again.version)
    return again
