"""The journal of deletions: one file a request, written before each stage takes effect.

A request once acknowledged is found here after any crash; `tmu delete --resume` (or the same request again) goes on
where it stopped. The journal holds keys (HMAC) and references only.
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tmu.errors import RequestError, StorageError
from tmu.files import read_json, write_json
from tmu.provenance import now
from tmu.workspace import Workspace

if TYPE_CHECKING:  # with it comes torch, which a look into the journal does not need
    from tmu.steps.plan_deletion import Plan

WITHDRAWN = "withdrawn"
_ID = re.compile("[0-9a-f]{16}")
STAGES = ("acknowledged", "erased", "unlearned", "audited", "completed")


def open_entry(workspace: Workspace, plan: "Plan", facts: dict[str, Any]) -> dict[str, Any]:
    """Acknowledge a plan: write its entry, or return the one that is there."""
    path = _path(workspace, plan.id)
    if path.exists() and (entry := _read(path))["stage"] != WITHDRAWN:
        return entry
    entry = {"id": plan.id, "stage": "acknowledged", "plan": plan.as_json(), **facts, "times": {"acknowledged": now()}}
    write_json(path, entry)
    return entry


def refuse_a_second(workspace: Workspace) -> None:
    """Raise RequestError while another request is under way: each is resolved against the data it will change."""
    for entry in unfinished(workspace):
        raise RequestError(
            f"Request {entry['id']} is not finished (stage `{entry['stage']}`).",
            _way_on(entry),
        )


def _way_on(entry: dict[str, Any]) -> str:
    if entry.get("batch"):
        return f"It is batch {entry['batch']} of the ledger: see why it ended, then `tmu ledger reopen` it."
    return f"Finish it first: `tmu delete --resume {entry['id']}`."


def find_same(workspace: Workspace, subjects: list[str], records: list[str]) -> dict[str, Any] | None:
    """The unfinished entry of the very same request (keys), if there is one: asking again goes on with it."""
    asked = [sorted(subjects), sorted(records)]
    return next((entry for entry in unfinished(workspace) if entry["asked"] == asked), None)


def find_batch(workspace: Workspace, batch: str) -> dict[str, Any] | None:
    """The entry of a batch of the ledger, in any stage; one that was withdrawn does not count."""
    mine = (entry for entry in entries(workspace) if entry.get("batch") == batch and entry["stage"] != WITHDRAWN)
    return next(mine, None)


def advance(workspace: Workspace, request: str, stage: str, **facts: Any) -> dict[str, Any]:
    """Record that a stage is done, with its references. A stage that was reached before is not taken back."""
    entry = find_entry(workspace, request)
    if STAGES.index(stage) >= STAGES.index(entry["stage"]):
        entry = {**entry, **facts, "stage": stage, "times": {stage: now()} | entry["times"]}
        write_json(_path(workspace, request), entry)
    return entry


def find_entry(workspace: Workspace, request: str) -> dict[str, Any]:
    """The entry of a request. Raises RequestError for an unknown id."""
    path = _path(workspace, request)
    if not _ID.fullmatch(request) or not path.exists():
        raise RequestError("There is no request of that id.", "`tmu show requests` lists them.")
    return _read(path)


def entries(workspace: Workspace) -> list[dict[str, Any]]:
    """All requests, oldest first."""
    found = [_read(path) for path in workspace.state("requests").glob("*.json")]
    return sorted(found, key=lambda entry: (entry["times"]["acknowledged"], entry["id"]))


def unfinished(workspace: Workspace) -> list[dict[str, Any]]:
    """Requests that were acknowledged and are neither completed nor withdrawn."""
    return [entry for entry in entries(workspace) if entry["stage"] not in ("completed", WITHDRAWN)]


def withdraw(workspace: Workspace, request: str) -> dict[str, Any]:
    """Take a request back. Only before anything was erased: after that it can only be finished (RequestError)."""
    entry = find_entry(workspace, request)
    if entry["stage"] != "acknowledged":
        raise RequestError(
            f"Request {request} is past the point of no return (stage `{entry['stage']}`).",
            f"Finish it: `tmu delete --resume {request}`.",
        )
    entry = {**entry, "stage": WITHDRAWN, "times": {**entry["times"], WITHDRAWN: now()}}
    write_json(_path(workspace, request), entry)
    return entry


def why(entry: dict[str, Any]) -> list[str]:
    """How a request's model came to be, in sentences: choice of method, a gate that refused, what went into service."""
    found = ((entry.get("choice") or {}).get("reason"), entry.get("refused"), entry.get("service"))
    return [text for text in found if text]


def _read(path: Path) -> dict[str, Any]:
    try:
        entry = read_json(path)
        return {**entry, "id": entry["id"], "stage": entry["stage"], "times": dict(entry["times"])}
    except (ValueError, KeyError, TypeError) as error:
        raise StorageError(
            f"The journal's entry {path.name} is damaged.", "Restore that file from a backup of the workspace."
        ) from error


def _path(workspace: Workspace, request: str) -> Path:
    return workspace.state("requests", f"{request}.json")
