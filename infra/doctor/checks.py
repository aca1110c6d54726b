"""What `tmu doctor` adds where servers are configured. Found by the entry-point group `tmu.checks`."""

import os
from collections.abc import Iterator

from tmu.check import Check
from tmu.prefect_api import PrefectApi, api_of
from tmu.settings import STACK
from tmu.workspace import Workspace

_MLFLOW_CALL = "/api/2.0/mlflow/experiments/search?max_results=1"
_START = "Start it: `make up`; why it stopped: `make logs`."


def checks(place: Workspace) -> Iterator[Check]:
    """One finding a server and subject; a single line where everything is in the workspace."""
    from infra.doctor.check_servers import clocks, ledger, login, page, s3

    api, mlflow = api_of(place.settings), place.settings.mlflow_uri
    prefect = page("Prefect server", f"{api.url}/health", _START) if api else None
    pages = [page("MLflow server", f"{mlflow}/health", _START)] if mlflow and mlflow.startswith("http") else []
    if prefect is None and not pages and place.settings.s3_endpoint is None and place.settings.ledger is None:
        yield Check("servers", "ok", "none configured")
        return
    probes = [probe for probe in (prefect, *pages, ledger(place), s3(place)) if probe]
    yield from (probe.check for probe in probes)
    if prefect and prefect.check.state == "ok":
        yield login("Prefect login", f"{api.url}/admin/version", api.auth, "prefect_login")
    if pages and pages[0].check.state == "ok":
        yield login("MLflow login", f"{mlflow}{_MLFLOW_CALL}", _mlflow_login(place), "mlflow_login")
    clock = clocks(probes)
    if clock:
        yield clock
    if prefect and prefect.check.state == "ok":
        yield from _prefect(api, place)
    yield from _account(place)


def _account(place: Workspace) -> Iterator[Check]:
    """Whether the workers of a stack on this machine can read secrets that they do not need."""
    from infra.stack.place import Stack
    from infra.stack.status import reads_the_secrets
    from infra.stack.supervisor import Supervisor

    if not (place.root / STACK).is_file() or not (states := Supervisor(Stack(place.root, place.settings)).states()):
        return
    found = reads_the_secrets(Stack(place.root, place.settings), states)
    hint = "docs/running.md, Who runs what, says what that means."
    yield Check("worker account", "warn", found, hint) if found else Check("worker account", "ok", "one of its own")


def _mlflow_login(place: Workspace) -> tuple[str, str] | None:
    """What MLflow's clients of this workspace would send."""
    from tmu.stores.mlflow_login import login_variables

    variables = {**os.environ, **login_variables(place.settings)}
    name, password = (variables.get(f"MLFLOW_TRACKING_{part}") for part in ("USERNAME", "PASSWORD"))
    return (name, password) if name and password else None


def _prefect(api: PrefectApi, place: Workspace) -> Iterator[Check]:
    import httpx
    from prefect.exceptions import PrefectException

    from infra.doctor.check_prefect import prefect_checks
    from tmu.errors import TmuError

    try:
        yield from prefect_checks(api, place)
    except TmuError as error:
        yield Check("Prefect", "fail", error.what, error.hint)
    except (httpx.HTTPError, PrefectException) as error:
        yield Check("Prefect", "fail", f"stopped answering: {type(error).__name__}", _START)
