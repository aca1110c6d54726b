"""Flow `delete`: from a request to erased data and an audited, registered, unlearned model.

The order is: write down, erase the data, then the model. Every stage is idempotent and journalled, so that a crash
anywhere is mended by running the same request again (or `--resume`); it takes effect once.
"""

from typing import Any

from flows.runtime import prepare, run_flow


def run(
    home: str,
    subjects: list[str],
    records: list[str],
    method: str | None = None,
    audit: bool = True,
    resume: str | None = None,
) -> dict[str, Any]:
    """What `tmu delete` calls: find out whether there is a Prefect server, then run the flow with it or without."""
    prepare(home)
    from flows.delete_flow import delete_flow

    given = {"subjects": subjects, "records": records, "method": method, "audit": audit, "resume": resume}
    return run_flow(delete_flow, home=home, **given)
