"""Flow `delete`: from a request to erased data and an audited, registered, unlearned model.

The order is: write down, erase the data, then the model. Every stage is idempotent and journalled, so that a crash
anywhere is mended by running the same request again (or `--resume`); it takes effect once.
"""

from typing import Any

from flows.runtime import prepare


def run(
    home: str,
    subjects: list[str],
    records: list[str],
    method: str | None = None,
    audit: bool = True,
    resume: str | None = None,
) -> dict[str, Any]:
    """What `tmu delete` calls: prepare Prefect for the workspace, then run the flow."""
    prepare(home)
    from flows.delete_flow import delete_flow

    return delete_flow(home=home, subjects=subjects, records=records, method=method, audit=audit, resume=resume)
