"""What the ledger states of a completed deletion, and the numbers of the audits that it refers to.

It is not signed, and says so; the certificate is (`tmu/steps/issue_certificate.py`).
"""

import json
from typing import Any

from tmu.deletion.deletion import AuditVerdict
from tmu.errors import StorageError
from tmu.ledger.outbox import announce_head
from tmu.ledger.statement import statement
from tmu.ledger.store import Ledger
from tmu.steps.ledger.log_heads import SYSTEM, noted_outside
from tmu.workspace import Workspace

KINDS = ("data_revision", "model", "audit")
"""Evidence without which a certificate says that it is missing."""
LIMITS = (
    "This statement is not signed. It can be checked against the ledger, whose head it names.",
    "Unlearning is approximate: an audit compares answers with those of a model retrained without the records.",
    "What became of old data revisions, superseded models and backups is stated by the certificate.",
)


def state_deletion(workspace: Workspace, ledger: Ledger, request: str) -> dict[str, Any]:
    """JSON-ready. The log's head, which it names, is noted outside. Raises ConflictError before completion.

    outside: the newest head that each place outside took before.
    """
    value = statement(ledger, request)
    with ledger.write(SYSTEM) as tx:
        announce_head(tx, "certificate")
    value["ledger"] |= {"outside": noted_outside(workspace, ledger)}
    audits = [one | {"numbers": _numbers(workspace, one)} for one in value["evidence"].get("audit", [])]
    if audits:
        value["evidence"] |= {"audit": audits}
    missing = [kind for kind in KINDS if not value["evidence"].get(kind)]
    missing += [] if value["serving"] else ["serving"]
    head = {"statement": "deletion", "format": 1, "signed": False, "limits": list(LIMITS), "missing": missing}
    return head | value


def _numbers(workspace: Workspace, audit: dict[str, str]) -> dict[str, Any] | None:
    """Verdict and metrics of the original and of the row that was judged; None where the audit is out of reach.

    The digest of the evidence is checked when the audit is fetched.
    """
    try:
        folder = workspace.artifacts.fetch(audit["uri"], audit["digest"])
        raw = json.loads((folder / "audit.json").read_bytes())
    except (StorageError, OSError, ValueError):
        return None
    verdict, rows = raw["verdict"], {row["name"]: row["metrics"] for row in raw["result"]["rows"]}
    shown = [name for name in ("original", verdict["row"]) if name in rows]
    values = {name: {key: cell["value"] for key, cell in rows[name].items() if cell} for name in shown}
    return {"verdict": AuditVerdict.of(verdict).public(), "records": raw["result"]["records"], "metrics": values}
