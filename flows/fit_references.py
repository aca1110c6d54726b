"""Flow `fit-references`: networks on random halves of the data, once for many deletions (docs/references.md)."""

from prefect import flow

from flows.tell import tell
from tasks.models import fit_references
from tasks.registry import register_references
from tmu.config import Params
from tmu.refs import DataRef, ReferencesRef
from tmu.steps.loading import data_ref
from tmu.steps.renewal import serving_references
from tmu.workspace import Workspace


@flow(name="fit-references")
def fit_references_flow(home: str = "") -> ReferencesRef | None:
    """The references of the data as they are now; those that are there serve on until they must be renewed.

    None where the model has a ridge head, which needs none.
    """
    workspace = Workspace.open(home)
    if workspace.params.ridge_head:
        tell("The model has a ridge head: nothing is to be fitted.")
        return None
    return references_of(workspace, data_ref(workspace), workspace.params)


def references_of(workspace: Workspace, data: DataRef, params: Params) -> ReferencesRef:
    """The table of a data revision that serves on, or a new one."""
    found = serving_references(workspace, data, params)
    if found is not None:
        tell("The references that are there serve on")
        return found
    tell(f"Fitting the references: {2 * params.references.pairs} networks, once for many requests")
    made = fit_references(workspace, data, params)
    register_references(workspace, data, made, params)
    return made
