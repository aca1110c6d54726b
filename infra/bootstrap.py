"""Create or update Prefect's objects: `python -m infra.bootstrap [--workspace DIR] [--json] [--dry-run]`.

It may be run at any time and any number of times: what is as wanted stays untouched. It is the only way in which these
objects are made: work pool, queues, limits, the block of results, the automation for zombies, and the deployments of
`prefect.yaml`.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from tmu.errors import ConfigError, StorageError, TmuError
from tmu.workspace import Workspace

if TYPE_CHECKING:
    from infra.bootstrapping.plan import Change, Plan
    from tmu.prefect_api import PrefectApi


def bootstrap(api: "PrefectApi", plan: "Plan", *, apply: bool = True) -> "list[Change]":
    """Every object and what was done about it; with apply=False, what would be done.

    Raises StorageError where the server does not answer or refuses.
    """
    import httpx
    from prefect.exceptions import PrefectHTTPStatusError

    from infra.prefect_ops.client import connected

    try:
        with connected(api) as client:
            return list(_changes(client, plan, apply=apply))
    except PrefectHTTPStatusError as error:
        if error.response.status_code == 401:
            raise StorageError("Prefect's server refuses the login.", "Compare setting `prefect_login`.") from None
        what = f"Prefect's server refused: {error.response.status_code} {error.response.text[:200]}"
        raise StorageError(what, "Compare the versions: `tmu doctor`.") from error
    except httpx.HTTPError as error:
        raise StorageError(f"Prefect's server at {api.url} does not answer.", "Start it: `make up`.") from error


def _changes(client: object, plan: "Plan", *, apply: bool) -> "Iterator[Change]":
    from infra.bootstrapping.deployments import deployments
    from infra.bootstrapping.limits import limits
    from infra.bootstrapping.pool import pool, queues
    from infra.bootstrapping.results import results
    from infra.bootstrapping.zombies import zombies

    for kind in (pool, queues, limits, results, zombies, deployments):
        yield from kind(client, plan, apply=apply)


def main(arguments: list[str] | None = None) -> int:
    """The command line. Exit code 0: all is as wanted now; 1: something failed; else the one of the error's class."""
    parser = argparse.ArgumentParser(prog="python -m infra.bootstrap", description=__doc__.splitlines()[0])
    parser.add_argument("--workspace", type=Path, default=None, help="default: TMU_HOME, else the current folder")
    parser.add_argument("--json", action="store_true", help="print a list of objects")
    parser.add_argument("--dry-run", action="store_true", help="change nothing; say what would be changed")
    asked = parser.parse_args(arguments)
    try:
        changes = _run(asked.workspace, apply=not asked.dry_run)
    except TmuError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print(json.dumps([asdict(each) for each in changes], indent=2) if asked.json else _lines(changes))
    return int(any(each.done == "failed" for each in changes))


def _run(folder: Path | None, *, apply: bool) -> "list[Change]":
    from flows.runtime import prepare
    from tmu.prefect_api import api_of

    workspace = Workspace.open(folder)
    api = api_of(workspace.settings)
    if api is None:
        raise ConfigError("No Prefect server is configured.", "Start one with `make up`, or set prefect_api_url.")
    prepare(str(workspace.root))  # before Prefect is imported: it reads its settings then
    from infra.bootstrapping.plan import Plan

    return bootstrap(api, Plan.of(workspace), apply=apply)


def _lines(changes: "list[Change]") -> str:
    return "\n".join(f"{each.done:8}{each.kind} {each.name}{each.text and f': {each.text}'}" for each in changes)


if __name__ == "__main__":
    sys.exit(main())
