"""A deletion of `tmu delete`: in the workspace, asked for and answered by whoever has it at hand."""

from typing import Annotated, Any, Literal

from prefect import flow
from pydantic import Field

from flows.course import Course
from flows.deletion import carry_out
from flows.report import show_plan
from flows.tell import tell
from tmu.config import AUTO
from tmu.errors import RequestError
from tmu.steps.choose_method import choose_method
from tmu.steps.journal import find_entry, find_same, open_entry, refuse_a_second
from tmu.steps.legal_hold import refuse_held
from tmu.steps.loading import data_ref, open_store
from tmu.steps.plan_deletion import acknowledge, plan_deletion
from tmu.steps.preflight import check_parameters
from tmu.steps.register_model import champion_of
from tmu.stores.lock import locked
from tmu.unlearn import method_names
from tmu.workspace import Workspace

Method = Literal[(AUTO, *method_names())]  # a drop-down in Prefect's form
Key = Annotated[str, Field(pattern="^[0-9a-f]{32}$")]  # a raw id is refused before Prefect stores it


@flow(name="delete")
def delete_flow(
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
        audit: Prove the result against two retrained models (golds).
        resume: Id of an interrupted request to go on with.
    """
    entry = _received(Workspace.open(home), subjects or [], records or [], method, resume)
    return carry_out(home, entry, Course(), audit=audit)


def _received(
    workspace: Workspace, subjects: list[str], records: list[str], method: str | None, resume: str | None
) -> dict[str, Any]:
    """The journal's entry: a resumed one, the one of the same request, or a new one after planning."""
    same = find_entry(workspace, resume) if resume else find_same(workspace, subjects, records)
    if same is not None and same["stage"] in ("completed", "withdrawn"):
        raise RequestError(f"Request {same['id']} is {same['stage']} already.", "There is nothing to go on with.")
    if same is not None:
        tell(f"Going on with request {same['id']} after stage `{same['stage']}`")
        return same
    with locked(workspace.state("request.lock")):  # two requests at once must not both be acknowledged
        return _acknowledged(workspace, subjects, records, method)


def _acknowledged(workspace: Workspace, subjects: list[str], records: list[str], method: str | None) -> dict[str, Any]:
    """A new request: planned, checked, and written down."""
    refuse_a_second(workspace)
    data = data_ref(workspace)
    check_parameters(open_store(workspace, data), workspace.params, method)
    plan = plan_deletion(workspace, data, subjects, records)
    refuse_held(workspace, open_store(workspace, data), plan.records)
    champion_of(workspace, data, params=workspace.params)  # refuses a model of another revision before anything is done
    choice = choose_method(workspace, plan, method)
    show_plan(plan, choice)
    facts = {"method": choice.method, "choice": choice.as_json(), "asked": [sorted(subjects), sorted(records)]}
    return open_entry(workspace, plan, {"forget": acknowledge(workspace, plan).model_dump(), **facts})
