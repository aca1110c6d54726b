"""What `tmu doctor` adds where servers are configured. Found by the entry-point group `tmu.checks`."""

from collections.abc import Iterator

from flows.prefect_api import address
from tmu.check import Check
from tmu.workspace import Workspace

_START = "Start it: `make up`; why it stopped: `make logs`."


def checks(place: Workspace) -> Iterator[Check]:
    """One finding a server and subject; a single line where everything is in the workspace."""
    from flows.check_servers import clocks, ledger, page, s3

    url, mlflow = address(place), place.settings.mlflow_uri
    prefect = page("Prefect server", f"{url}/health", _START) if url else None
    pages = [page("MLflow server", f"{mlflow}/health", _START)] if mlflow and mlflow.startswith("http") else []
    if prefect is None and not pages and place.settings.s3_endpoint is None and place.settings.ledger is None:
        yield Check("servers", "ok", "none configured")
        return
    probes = [probe for probe in (prefect, *pages, ledger(place), s3(place)) if probe]
    yield from (probe.check for probe in probes)
    clock = clocks(probes)
    if clock:
        yield clock
    if prefect and prefect.check.state == "ok":
        yield from _prefect(url, place)


def _prefect(url: str, place: Workspace) -> Iterator[Check]:
    import httpx
    from prefect.exceptions import PrefectException

    from flows.check_prefect import prefect_checks
    from tmu.errors import TmuError

    try:
        yield from prefect_checks(url, place)
    except TmuError as error:
        yield Check("Prefect", "fail", error.what, error.mend)
    except (httpx.HTTPError, PrefectException) as error:
        yield Check("Prefect", "fail", f"stopped answering: {type(error).__name__}", _START)
