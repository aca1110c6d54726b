"""The connection to a Prefect server that is not this process's own."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

    from tmu.workspace import Workspace


def address(workspace: "Workspace") -> str | None:
    """The API's address: PREFECT_API_URL, else the setting `prefect_api_url`; None where there is no server."""
    return os.environ.get("PREFECT_API_URL") or workspace.settings.prefect_api_url


@contextmanager
def connected(url: str, *, seconds: float = 10.0, retries: int = 2) -> Iterator["SyncPrefectClient"]:
    """A client of the server at `url`. seconds: limit of one call; retries: of a call that failed for a passing cause.

    Prefect's own settings point there for the length of the block, so that whatever asks for a client gets the same.
    """
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

    with (
        temporary_settings({PREFECT_API_URL: url, PREFECT_CLIENT_MAX_RETRIES: retries}),
        get_client(httpx_settings={"timeout": seconds}, sync_client=True) as client,
    ):
        yield client
