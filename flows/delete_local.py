"""A deletion of `tmu delete`: in the workspace, asked for and answered by whoever has it at hand."""

from typing import Annotated, Any, Literal

from prefect import flow
from pydantic import Field

from flows.carry_out import carry_out
from flows.observer import Observer
from flows.report import show_plan
from flows.sealed import sealed
from flows.tell import tell
from tmu.config import AUTO
from tmu.deletion.deletion import Deletion, Stage
from tmu.deletion.journal import Journal
from tmu.deletion.plan import Asked
from tmu.steps.acknowledge import acknowledge
from tmu.steps.plan import plan_deletion
from tmu.steps.resume import resumed
from tmu.unlearn import method_names
from tmu.workspace import Workspace

Method = Literal[(AUTO, *method_names())]  # a drop-down in Prefect's form
Key = Annotated[str, Field(pattern="^[0-9a-f]{32}$")]  # a raw id is refused before Prefect stores it


@flow(name="delete-local")
def delete_local_flow(
    home: str = ".",
    subjects: list[Key] | None = None,
    records: list[Key] | None = None,
    method: Method | None = None,
    audit: bool = True,
    resume: str | None = None,
) -> dict[str, Any]:
    """Delete subjects and records from data and model.

    Args:
        home: Folder of the workspace.
        subjects: Keys (HMAC) of the people to delete; `tmu plan --subject ID --keys-only` prints them. Never raw ids:
            Prefect keeps parameters.
        records: Keys of single records to delete.
        method: Unlearning method, or `auto` to weigh it against retraining; empty: the one in params.yaml.
        audit: Prove the result, by the references or beside retrained models (`audit.golds`).
        resume: Id of an acknowledged request to go on with: as it was acknowledged, whatever params.yaml says now.

    """
    workspace, asked = Workspace.open(home), Asked.of(subjects or [], records or [])
    with Journal(workspace).running():
        same = None if resume else Journal(workspace).same_as(asked)
        if resume or same:
            deletion = resumed(workspace, resume or same.id, method=method, audited=audit)
        else:
            plan = plan_deletion(workspace, asked, method)
            deletion = acknowledge(workspace, plan, asked, audited=audit)
        _say(deletion)
        outcome = carry_out(workspace, deletion, Observer(workspace))
        return outcome | {"evidence": sealed(workspace, [deletion.id])}


def _say(deletion: Deletion) -> None:
    if deletion.stage is not Stage.ACKNOWLEDGED:
        tell(f"Request {deletion.id} is resumed after stage `{deletion.stage}`.")
    show_plan(deletion.plan)
