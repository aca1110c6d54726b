"""A client of a Prefect server that is not this process's own."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tmu.prefect_api import PrefectApi

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient


@contextmanager
def connected(api: PrefectApi, *, seconds: float = 10.0, retries: int = 2) -> Iterator["SyncPrefectClient"]:
    """A client of the server. seconds: limit of one call; retries: of a call that failed for a passing cause.

    Prefect's own settings point there for the length of the block, so that whatever asks for a client gets the same.
    """
    from prefect.client.orchestration import get_client
    from prefect.settings import (
        PREFECT_API_AUTH_STRING,
        PREFECT_API_URL,
        PREFECT_CLIENT_MAX_RETRIES,
        temporary_settings,
    )

    named = {PREFECT_API_URL: api.url, PREFECT_API_AUTH_STRING: api.login, PREFECT_CLIENT_MAX_RETRIES: retries}
    with (
        temporary_settings(named),
        get_client(httpx_settings={"timeout": seconds}, sync_client=True) as client,
    ):
        yield client
