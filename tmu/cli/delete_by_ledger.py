"""`tmu delete` in a workspace with a ledger: on record, planned, approved by a second person, then carried out."""

from typing import TYPE_CHECKING

from tmu.cli import flow, output
from tmu.cli.confirm import confirm
from tmu.errors import ConfigError

if TYPE_CHECKING:
    from tmu.deletion.plan import Asked
    from tmu.steps.ask_ledger import OnRecord
    from tmu.workspace import Workspace


def applies(place: "Workspace") -> bool:
    """Whether the workspace has a ledger."""
    from tmu.ledger.place import has_ledger

    return has_ledger(place)


def delete(place: "Workspace", asked: "Asked", method: str | None, *, yes: bool, audit: bool) -> None:
    """Put the request on record and plan it; where it is approved already, carry it out."""
    from tmu.ledger.states import RUNNING, State
    from tmu.steps.ask_ledger import ask_ledger, status_of

    if not audit:
        raise ConfigError("Deletions in a workspace with a ledger are always audited.", "Leave out --no-audit.")
    found = ask_ledger(place, asked, method)
    batches = []
    if found.state in (State.APPROVED, *RUNNING):
        confirm(f"Carry out request {found.request}, as it was approved?", yes, [_line(found)])
        batches = flow.load("serve")(home=str(place.root))
        found = found.model_copy(update={"state": status_of(place, found.request)})
    value = found.model_dump(mode="json") | {"batches": batches}
    output.emit(value, lambda: [_line(found), *(sentence for batch in batches for sentence in batch.get("why", []))])


def _line(found: "OnRecord") -> str:
    """Where the request is and what it needs next."""
    from tmu.ledger.states import State

    needs = {
        State.UNVERIFIED: f"The requester's identity must be verified: `tmu request verify-identity {found.request}`.",
        State.HELD: "A legal hold covers it: `tmu request list --holds`.",
        State.AWAITING_APPROVAL: f"A second person must approve the plan {found.plan_hash}: by the API "
        f"(POST /requests/{found.request}/approval, docs/api.md). Then run the same command again, or wait for the "
        "flow `reconcile`.",
        State.APPROVED: "It is approved but was not carried out: another run is active, or its plan is no longer "
        "approved.",
        State.FAILED: f"Its batch failed: `tmu request show {found.request}` names it; `tmu ledger reopen` it.",
        State.COMPLETED: "Everything that it names is erased.",
    }
    ended = "Record a new request: `tmu request receive`."
    return f"Request {found.request} is {found.state.replace('_', ' ')}. {needs.get(found.state, ended)}"
