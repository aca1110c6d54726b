"""What `tmu audit --request` calls: prepare Prefect for the workspace, then run the flow `audit`."""

from typing import Any

from flows.runtime import prepare


def run(home: str, request: str, golds: int = 2) -> dict[str, Any]:
    """Audit a request's model (again); see `audit_flow`."""
    prepare(home)
    from flows.audit_flow import audit_flow

    return audit_flow(request=request, golds=golds, home=home)
