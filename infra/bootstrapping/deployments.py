"""Deployments, by Prefect's client and only where something differs.

`prefect deploy --all` would write all of them anew each time, and with each its planned runs go. What was switched off
by hand (a paused deployment or schedule) stays off.
"""

import json
from collections.abc import Iterator
from typing import Any

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterTags
from prefect.client.schemas.responses import DeploymentResponse
from prefect.exceptions import ObjectNotFound

from infra.bootstrapping import wanted
from infra.bootstrapping.plan import Change, Plan
from tmu.errors import ConfigError

_KIND = "deployment"
_ALIKE = ("entrypoint", "description", "parameters", "work_pool_name", "work_queue_name", "job_variables")


def deployments(client: SyncPrefectClient, plan: Plan, *, apply: bool) -> Iterator[Change]:
    """Those of `prefect.yaml`; then those that it named once and does not any more, which are paused."""
    entries = wanted.entries(plan.root)
    for entry in entries:
        try:
            yield _one(client, entry, plan, apply=apply)
        except ConfigError as error:
            yield Change(_KIND, entry["name"], "failed", error.what)
    yield from _left_over(client, {entry["name"] for entry in entries}, apply=apply)


def _one(client: SyncPrefectClient, entry: dict[str, Any], plan: Plan, *, apply: bool) -> Change:
    flow = wanted.flow_of(entry)
    arguments = wanted.arguments(entry, flow, plan)
    try:
        found = client.read_deployment_by_name(f"{flow.name}/{entry['name']}")
    except ObjectNotFound:
        found = None
    paused = {each.slug for each in found.schedules if not each.active} if found else set()
    schedules = wanted.schedules(entry, plan, paused)
    differs = _differences(found, arguments, schedules) if found else []
    if apply and (found is None or differs):
        client.create_deployment(client.create_flow(flow), schedules=schedules, **arguments)  # replaces one of its name
    return Change(_KIND, entry["name"], "changed" if differs else "kept" if found else "made", ", ".join(differs))


def _differences(
    found: DeploymentResponse, arguments: dict[str, Any], schedules: list[DeploymentScheduleCreate]
) -> list[str]:
    limit, options = found.global_concurrency_limit, arguments["concurrency_options"]
    pairs = {key: (getattr(found, key), arguments[key]) for key in _ALIKE}
    pairs |= {
        "tags": (sorted(found.tags), sorted(arguments["tags"])),
        "form": (found.parameter_openapi_schema, json.loads(json.dumps(arguments["parameter_openapi_schema"]))),
        "enforce_parameter_schema": (found.enforce_parameter_schema, arguments["enforce_parameter_schema"]),
        "pull": (found.pull_steps or [], arguments["pull_steps"]),
        "concurrency_limit": (limit.limit if limit else None, arguments["concurrency_limit"]),
        "concurrency_options": (found.concurrency_options, options),
        "schedules": (_comparable(found.schedules), _comparable(schedules)),
    }
    return [key for key, (there, here) in pairs.items() if there != here]


def _comparable(schedules: list[Any]) -> list[tuple[Any, ...]]:
    """What makes a schedule: its slug, its rule and its parameters; whether it is switched on does not."""
    return sorted((each.slug or "", each.schedule.model_dump_json(), json.dumps(each.parameters)) for each in schedules)


def _left_over(client: SyncPrefectClient, names: set[str], *, apply: bool) -> Iterator[Change]:
    """Deployments with our tag whose name `prefect.yaml` does not have: paused, so that their schedules make no runs.

    They are not deleted: a suspended run of theirs could not go on.
    """
    ours = DeploymentFilter(tags=DeploymentFilterTags(all_=[wanted.TAG]))
    for found in client.read_deployments(deployment_filter=ours):
        if found.name not in names and not found.paused:
            if apply:
                client.pause_deployment(found.id)
            yield Change(_KIND, found.name, "changed", f"paused: {wanted.FILE} does not name it")
