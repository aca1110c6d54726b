"""The form of the approval, on the page of a suspended run: the plan above, the decision below."""

from typing import Any, Literal

from prefect.input import RunInput
from prefect.input.actions import read_flow_run_input
from pydantic import Field

from flows.report import plan_counts, plan_rows, table
from tmu.steps.form_request import Decision, plan_shown
from tmu.workspace import Workspace


class Approval(RunInput):
    """What the approver types. The code proves who that is; it holds for this plan alone, for an hour."""

    decision: Literal["approve", "deny"] = Field("approve", title="Decision")
    code: str = Field(
        "",
        title="Approval code",
        max_length=200,
        description="It proves who you are, and holds for this plan alone, for an hour. The call above gets one. Leave "
        "it empty if the API approved or denied the request meanwhile.",
    )
    reason: str = Field(
        "",
        title="Reason",
        max_length=200,
        description="One line that names nobody. A denial needs one; the requester is told.",
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
    text = plan_markdown(request, plan_shown(workspace, request), workspace.settings.api_url or "http://127.0.0.1:8080")
    return Approval.with_initial_data(description=f"> **Not accepted.** {said}\n\n{text}" if said else text)


def plan_markdown(request: str, shown: dict[str, Any], api: str) -> str:
    """The plan for people: what goes, how, what it will cost, until when; and how to get a code. api: its address."""
    body = shown["body"]
    rows = [*plan_rows(body, body["choice"]), ("to be answered by", shown["due"][:10])]
    rows.append(("asked for by", f"`{shown['requester']}`, who may not approve it (typed into the form, unchecked)"))
    notes = "".join(f"\n- {text}" for text in [plan_counts(body), body["choice"]["reason"], *body["warnings"]])
    call = (
        f"API={api}\ncurl $API/requests/{request}/approval-code \\\n"
        "  -H \"Authorization: Bearer $TOKEN\" \\\n  -H 'Content-Type: application/json' \\\n"
        f'  -d \'{{"plan_hash": "{shown["hash"]}"}}\''
    )
    return (
        f"### Request `{request}`: may this be erased?\n\n{table(rows)}\n{notes}\n\n"
        "Until erasing begins the request can be taken back. **From then on it can only be finished.**\n\n"
        f"For an approval code, with the token of an approver:\n\n```bash\n{call}\n```\n"
    )
