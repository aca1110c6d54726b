"""The form of the approval, on the page of a suspended run: the plan above, the decision below."""

from typing import Literal

from prefect.input import RunInput
from prefect.input.actions import read_flow_run_input
from pydantic import Field

from flows.report import facts_markdown, show_plan_of_request
from flows.tell import tell
from tmu.steps.ledger.form_request import Decision, PlanShown, plan_shown
from tmu.workspace import Workspace


class Approval(RunInput):
    """What the approver types. The code proves who that is; it holds for this plan alone, for an hour."""

    decision: Literal["approve", "deny"] = Field("approve", title="Decision")
    code: str = Field(
        "",
        title="Approval code",
        max_length=200,
        description="It authenticates you and is valid for this plan, for one hour. The call above returns one. Leave "
        "it empty if the API approved or denied the request meanwhile.",
    )
    reason: str = Field(
        "",
        title="Reason",
        max_length=200,
        description="One line that names no person. Required for a denial; the requester is told.",
    )

    def as_decision(self) -> Decision:
        """For the step."""
        return Decision(approve=self.decision == "approve", code=self.code.strip(), reason=self.reason.strip())


def was_asked(attempt: int) -> bool:
    """Whether this run has put the form of that attempt before somebody. The run starts anew after each answer."""
    return read_flow_run_input(f"suspended-{pause_key(attempt)}-schema") is not None


def pause_key(attempt: int) -> str:
    """Under which Prefect keeps the form and the answer of an attempt."""
    return f"approval-{attempt}"


def question(workspace: Workspace, request: str, said: str = "") -> type[Approval]:
    """The form with the plan as its description. said: why it is asked again."""
    shown = plan_shown(workspace, request)
    text = plan_markdown(shown, workspace.settings.api_url or "http://127.0.0.1:8080")
    return Approval.with_initial_data(description=f"> **Not accepted.** {said}\n\n{text}" if said else text)


def show_request(workspace: Workspace, request: str) -> None:
    """The plan that somebody is to approve, on the run's page and in its log."""
    show_plan_of_request(request, plan_shown(workspace, request).facts)
    tell(f"Request {request} waits for its approval: press Resume.")


def plan_markdown(shown: PlanShown, api: str) -> str:
    """The plan for its approver: risk, method, price and what stays; then how to get a code. api: its address.

    The form is narrow, wraps sentences, and cuts off tables and long lines of code.
    """
    call = (
        f"API={api}\nHASH={shown.hash[:32]}\nHASH=${{HASH}}{shown.hash[32:]}\n"
        f"curl $API/requests/{shown.request}/approval-code \\\n"
        "  -H \"Authorization: Bearer $TOKEN\" \\\n  -H 'Content-Type: application/json' \\\n"
        "  -d '{\"plan_hash\": \"'$HASH'\"}'"
    )
    return (
        f"{facts_markdown(shown.facts)}\n"
        f"**Request** `{shown.request}`, requested by `{shown.requester}`, "
        "who cannot approve it (typed into the form, not authenticated). "
        f"**Due** {shown.due[:10]}.\n\n"
        "Until erasing begins, the request can be withdrawn. **From then on it can only be finished.**\n\n"
        f"For an approval code, with the token of an approver:\n\n```bash\n{call}\n```\n"
    )
