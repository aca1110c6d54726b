"""Tasks on the data: look at them, erase, tidy."""

from tasks.common import step_task
from tasks.slots import DVC_WRITER
from tmu.deletion.deletion import Deletion
from tmu.refs import DataRef, ForgetRef, ReferencesRef
from tmu.steps import erase_data, preflight, resume
from tmu.steps import erase_references as erasing
from tmu.steps import tidy as tidying
from tmu.workspace import Workspace


@step_task("check-stores", cached=False)
def check_stores(workspace: Workspace) -> None:
    """Whether all that the deletion will write to takes it."""
    preflight.check_stores(workspace)


@step_task("look-at-data", cached=False)
def look_at_data(workspace: Workspace, deletion: Deletion) -> None:
    """Whether the data are those that the deletion was planned on, or has erased."""
    resume.refuse_other_data(workspace, deletion)


@step_task(
    "erase-data", cached=False, limit=DVC_WRITER
)  # the step itself is idempotent; a cached answer would not touch the data
def erase(workspace: Workspace, deletion: Deletion) -> DataRef:
    """The data revision without the forget set."""
    return erase_data.erase_data(workspace, deletion.plan.data, deletion.forget, request=deletion.id)


@step_task("tidy", cached=False)
def tidy(workspace: Workspace) -> dict[str, int]:
    """Remove what was only needed on the way; counts."""
    return tidying.tidy(workspace)


@step_task("erase-references", cached=False)
def erase_references(workspace: Workspace, ref: ReferencesRef, forget: ForgetRef, data_after: DataRef) -> ReferencesRef:
    """The references without the rows of the forget set."""
    return erasing.erase_references(workspace, ref, forget, data_after)


@step_task("drop-references", cached=False)
def drop_references(workspace: Workspace, data: DataRef, forget: ForgetRef) -> None:
    """Remove the tables of a data revision that is no longer the current one, and all others with the erased rows."""
    erasing.drop_tables_of(workspace, data, forget)
