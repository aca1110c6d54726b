"""`prefect.yaml`: every deployment names a flow that is there, and a form that a person can fill in."""

from pathlib import Path
from typing import Annotated, Any

import pytest
import yaml
from prefect import flow
from pydantic import BaseModel, Field

from infra.bootstrapping import wanted
from infra.bootstrapping.form import form_of
from infra.bootstrapping.plan import QUEUES, Plan
from tmu.errors import ConfigError

ROOT = Path(__file__).parents[3]
ENTRIES = {entry["name"]: entry for entry in wanted.entries(ROOT)}
SCHEDULED = {
    "nightly-batch",
    "intake",
    "deadline-watch",
    "reconcile",
    "verify",
    "retrain-gold",
    "fit-references",
    "refit-twin",
}
TRAINING = {"nightly-batch", "retrain-gold", "fit-references", "refit-twin", "replay"}


def test_all_deployments_are_there_each_once() -> None:
    assert len(ENTRIES) == len(wanted.entries(ROOT))
    assert set(ENTRIES) == {"delete", "urgent-batch", "replay", *SCHEDULED}


def test_each_has_its_queue_its_schedule_and_the_check_of_its_form() -> None:
    for name, entry in ENTRIES.items():
        queue = entry["work_pool"]["work_queue_name"]
        assert queue in QUEUES
        assert (queue == "training") == (name in TRAINING), name
        assert len(entry.get("schedules", ())) == (name in SCHEDULED), name
        assert entry["enforce_parameter_schema"] is True
        assert entry["description"].strip(), name


def test_one_nightly_batch_at_a_time_and_the_next_one_waits() -> None:
    for name in ("nightly-batch", "urgent-batch"):
        assert ENTRIES[name]["concurrency_limit"] == {"limit": 1, "collision_strategy": "ENQUEUE"}


def test_the_urgent_lane_waits_for_no_training() -> None:
    from infra.prefect_ops.urgent import DEPLOYMENT

    entry = ENTRIES["urgent-batch"]
    assert (entry["parameters"], entry["work_pool"]["work_queue_name"]) == ({"lane": "urgent"}, "critical")
    assert f"{wanted.flow_of(entry).name}/{entry['name']}" == DEPLOYMENT


@pytest.mark.parametrize("name", ENTRIES)
def test_the_flow_is_there_and_its_form_is_flat_and_explained(name: str) -> None:
    found = wanted.flow_of(ENTRIES[name])
    assert faults(form_of(found)) == []


def faults(schema: dict[str, Any]) -> list[str]:
    """What makes a form hard to fill in: models within it, unions, fields without a description."""
    found = []
    for name, field in schema["properties"].items():
        if not field.get("description"):
            found.append(f"{name} has no description")
        kinds = [part for part in field.get("anyOf", [field]) if part.get("type") != "null"]
        if len(kinds) != 1 or "$ref" in str(kinds):
            found.append(f"{name} is no plain field")
        if len(kinds[0].get("enum", [1, 2])) < 2:
            found.append(f"{name} leaves no choice")
    return found


class _Nested(BaseModel):
    count: int = 1


@flow
def _bad(
    plain: int = 1,
    nested: Annotated[_Nested, Field(description="x")] = _Nested(),
    either: Annotated[int | str, Field(description="x")] = 1,
) -> None:
    """A form that nobody should have to fill in."""


def test_the_check_of_forms_finds_planted_faults() -> None:
    assert faults(form_of(_bad)) == [
        "plain has no description",
        "nested is no plain field",
        "either is no plain field",
    ]


@flow
def _described(
    count: Annotated[int, Field(title="How many", description="Of what.", ge=1)], other: int | None = None
) -> None:
    """A flow.

    Args:
        count: Not this.
        other: From the docstring.
    """


def test_a_form_keeps_title_description_and_limits() -> None:
    properties = form_of(_described)["properties"]
    assert {key: properties["count"][key] for key in ("title", "description", "minimum")} == {
        "title": "How many",
        "description": "Of what.",
        "minimum": 1,
    }
    assert properties["other"]["description"] == "From the docstring."


GOOD = {
    "name": "d",
    "entrypoint": "tests/bootstrap_flows.py:first_flow",
    "tags": ["tmu"],
    "work_pool": {"name": "tmu", "work_queue_name": "critical"},
    "schedules": [{"slug": "hourly", "cron": "0 * * * *"}],
}


@pytest.mark.parametrize(
    ("change", "pull", "named"),
    [
        ({"work_pool": {"name": "other", "work_queue_name": "critical"}}, [], "work pool"),
        ({"work_pool": {"name": "tmu", "work_queue_name": "default"}}, [], "queue"),
        ({"schedules": [{"cron": "0 * * * *"}]}, [], "slug"),
        ({"schedules": [{"slug": "x", "interval": 600}]}, [], "cron"),
        ({"tags": []}, [], "tag"),
        ({"work_pool": GOOD["work_pool"] | {"job_variables": {"command": "x"}}}, [], "job variables"),
        ({}, None, "pull"),
        ({"pull": None}, [], "pull"),
    ],
)
def test_an_entry_that_would_go_wrong_is_refused(
    tmp_path: Path, change: dict[str, Any], pull: list[Any] | None, named: str
) -> None:
    file = tmp_path / "prefect.yaml"
    file.write_text(yaml.safe_dump({"pull": [], "deployments": [GOOD]}))
    assert wanted.entries(tmp_path) == [GOOD]
    file.write_text(yaml.safe_dump({"pull": pull, "deployments": [GOOD | change]}))
    with pytest.raises(ConfigError, match=named):
        wanted.entries(tmp_path)


@pytest.mark.parametrize(
    "entrypoint", ["tests/no_such_file.py:f", "tests/bootstrap_flows.py:no_such", "tests/bootstrap_flows.py:flow"]
)
def test_an_entrypoint_that_leads_to_no_flow_is_refused(entrypoint: str) -> None:
    with pytest.raises(ConfigError, match="`d`"):
        wanted.flow_of(GOOD | {"entrypoint": entrypoint})


def test_a_schedule_is_in_the_zone_of_the_settings_unless_it_names_one(tmp_path: Path) -> None:
    plan = Plan(workspace=tmp_path, root=tmp_path, gpus=1, zone="Europe/Berlin")
    own = GOOD | {"schedules": [{"slug": "own", "cron": "0 2 * * *", "timezone": "Asia/Tokyo"}]}
    zones = [wanted.schedules(entry, plan, set())[0].schedule.timezone for entry in (GOOD, own)]
    assert zones == ["Europe/Berlin", "Asia/Tokyo"]


def test_each_flow_has_a_name_of_its_own() -> None:
    """`delete` on Prefect's page is the deployment's; a deletion of the command line is told apart."""
    from flows.delete_local import delete_local_flow
    from flows.delete_request import delete_request_flow

    assert delete_request_flow.name == "delete"
    assert delete_request_flow.flow_run_name == "delete {request}"
    assert delete_local_flow.name == "delete-local"
