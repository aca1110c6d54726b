"""What `tmu audit --request` calls: run the flow `audit`, with a Prefect server or without."""

from typing import Any

from flows.runtime import prepare, run_flow


def run(home: str, request: str, golds: int = 2) -> dict[str, Any]:
    """Audit a request's model (again); see `audit_flow`."""
    prepare(home)
    from flows.audit_flow import audit_flow

    return run_flow(audit_flow, request=request, golds=golds, home=home)
