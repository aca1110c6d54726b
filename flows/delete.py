"""What `tmu delete` calls: prepare Prefect for the workspace, then run the flow that fits."""

from typing import Any

from flows.runtime import prepare, run_flow


def run(home: str, request: str) -> dict[str, Any]:
    """Carry out an acknowledged request, from wherever it stopped; see `delete_flow`."""
    prepare(home)
    from flows.delete_flow import delete_flow

    return run_flow(delete_flow, home=home, resume=request)


def serve(home: str) -> list[dict[str, Any]]:
    """Carry out the urgent requests that are approved in the ledger; see `nightly_batch_flow`."""
    prepare(home)
    from flows.nightly_batch import nightly_batch_flow

    return run_flow(nightly_batch_flow, home=home, lane="urgent")
