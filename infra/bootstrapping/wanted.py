"""The deployments that `prefect.yaml` names, read into what Prefect's client takes."""

import importlib
from pathlib import Path
from typing import Any

import yaml
from prefect import Flow
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.objects import ConcurrencyOptions
from prefect.client.schemas.schedules import CronSchedule

from infra.bootstrapping.form import form_of
from infra.bootstrapping.plan import POOL, QUEUES, Plan
from tmu.errors import ConfigError

FILE = "prefect.yaml"
TAG = "tmu"
"""Marks the deployments that are ours."""
_HINT = f"Fix it in {FILE}."


def entries(root: Path) -> list[dict[str, Any]]:
    """The entries of `prefect.yaml`, checked. Raises ConfigError naming the entry."""
    try:
        read = yaml.safe_load((root / FILE).read_text())
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"{root / FILE} cannot be read.", "Restore it from the repository.") from error
    found = read.get("deployments") or []
    for entry in found:
        _checked(entry, entry["pull"] if "pull" in entry else read.get("pull"))
    return found


def entrypoints(root: Path) -> set[str]:
    """What workers may run."""
    return {entry["entrypoint"] for entry in entries(root)}


def _checked(entry: dict[str, Any], pull: Any) -> None:
    name, queue = entry.get("name"), entry.get("work_pool", {}).get("work_queue_name")
    faults = {
        f"is not for work pool {POOL}": entry.get("work_pool", {}).get("name") != POOL,
        "has job variables, which the workers refuse": "job_variables" in entry.get("work_pool", {}),
        f"is for no queue among {', '.join(QUEUES)}": queue not in QUEUES,
        "has a schedule without a slug": any(not each.get("slug") for each in entry.get("schedules", ())),
        "has a schedule without cron": any(not each.get("cron") for each in entry.get("schedules", ())),
        f"lacks the tag {TAG}": TAG not in entry.get("tags", ()),
        # left out, Prefect would have the worker go to the folder of whoever deployed
        "lacks `pull: []`": pull != [],
    }
    for fault, present in faults.items():
        if present:
            raise ConfigError(f"Deployment `{name}` {fault}.", _HINT)


def flow_of(entry: dict[str, Any]) -> Flow:
    """The flow of an entrypoint `folder/file.py:function`. Raises ConfigError where it cannot be imported."""
    path, _, function = entry["entrypoint"].partition(":")
    try:
        found = getattr(importlib.import_module(path.removesuffix(".py").replace("/", ".")), function)
    except (ImportError, AttributeError) as error:
        raise ConfigError(
            f"Deployment `{entry['name']}`: {entry['entrypoint']} is not there ({error}).", _HINT
        ) from None
    if not isinstance(found, Flow):
        raise ConfigError(f"Deployment `{entry['name']}`: {entry['entrypoint']} is no flow.", _HINT)
    return found


def arguments(entry: dict[str, Any], flow: Flow, plan: Plan) -> dict[str, Any]:
    """What `create_deployment` of Prefect's client takes, but for the flow's id and the schedules."""
    limit = entry.get("concurrency_limit") or {}
    options = {key: limit[key] for key in ("collision_strategy", "grace_period_seconds") if key in limit}
    return {
        "name": entry["name"],
        "entrypoint": entry["entrypoint"],
        "description": entry.get("description") or flow.description,
        "tags": entry["tags"],
        "parameters": entry.get("parameters", {}),
        "work_pool_name": POOL,
        "work_queue_name": entry["work_pool"]["work_queue_name"],
        "job_variables": {},
        "concurrency_limit": limit.get("limit"),
        "concurrency_options": ConcurrencyOptions(**options) if options else None,
        "enforce_parameter_schema": entry.get("enforce_parameter_schema", True),
        "parameter_openapi_schema": form_of(flow),
        "pull_steps": [],
    }


def schedules(entry: dict[str, Any], plan: Plan, paused: set[str]) -> list[DeploymentScheduleCreate]:
    """The schedules, in the settings' time zone unless they name one. paused: slugs of those that are switched off."""
    return [
        DeploymentScheduleCreate(
            slug=each["slug"],
            schedule=CronSchedule(cron=each["cron"], timezone=each.get("timezone", plan.zone)),
            active=each["slug"] not in paused,
            parameters=each.get("parameters", {}),
        )
        for each in entry.get("schedules", ())
    ]
