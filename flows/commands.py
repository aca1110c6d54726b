"""What the command line calls: prepare Prefect for the workspace, then run the flow, with a server or without.

`flows/demo.py` holds one more.
"""

from typing import Any

from flows.runtime import prepare, run_flow


def delete(home: str, request: str) -> dict[str, Any]:
    """Carry out an acknowledged request, from wherever it stopped; see `delete_local_flow`."""
    prepare(home)
    from flows.delete_local import delete_local_flow

    return run_flow(delete_local_flow, home=home, resume=request)


def serve(home: str) -> list[dict[str, Any]]:
    """Carry out the urgent requests that are approved in the ledger; see `nightly_batch_flow`."""
    prepare(home)
    from flows.nightly_batch import nightly_batch_flow

    return run_flow(nightly_batch_flow, home=home, lane="urgent")


def audit(home: str, request: str, golds: int = 2) -> dict[str, Any]:
    """Audit a request's model (again); see `audit_flow`."""
    prepare(home)
    from flows.audit_flow import audit_flow

    return run_flow(audit_flow, request=request, golds=golds, home=home)
