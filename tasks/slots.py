"""Prefect's concurrency limits, held by heavy tasks where a server of ours has them (`infra/bootstrap.py`)."""

from collections.abc import Iterator
from contextlib import contextmanager

from tmu.workspace import Workspace

GPU, DVC_WRITER = "gpu", "dvc-writer"
_LEASE = 60.0  # seconds: the least that Prefect allows, so that a slot is free again soon after kill -9


@contextmanager
def slot(name: str | None, workspace: Workspace) -> Iterator[None]:
    """Hold one slot of a limit. Fails where the limit is missing: otherwise Prefect would let everything run at once.

    Without a server in the settings there are no limits: one process works alone.
    """
    if name is None or workspace.settings.prefect_api_url is None:
        yield
        return
    from prefect.concurrency.sync import concurrency

    with concurrency(name, occupy=1, lease_duration=_LEASE, strict=True, raise_on_lease_renewal_failure=False):
        yield
