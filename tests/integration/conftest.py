"""Workspaces and Prefect for the integration tests: small, real, and apart from whoever runs them."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.digits import with_digits
from tmu.config import Params
from tmu.workspace import Workspace

QUICK = {
    "train": {"epochs": 4},
    "references": {"pairs": 2, "inner": False},
    "twin": {"train": {"epochs": 4, "batch_size": 64, "lr": 0.05}, "curriculum_nets": 1, "predictor_epochs": 40},
    "audit": {"bootstrap": 100, "golds": True},
    "purge": {"act": False},
}
LAYOUT = {"holdout": 0.35, "test": 0.35}


def make_workspace(folder: Path, **extra: object) -> Workspace:
    """A workspace with the embedded digits and quick parameters. audit: beside golds, unless it says otherwise.

    What a deletion leaves behind stays, for tests that look at it; `purge={"act": True}` destroys it at its end.
    """
    with_digits(folder, **LAYOUT)
    audit = {"audit": {**QUICK["audit"], **extra.pop("audit", {})}}
    params = Params.model_validate({**QUICK, **extra, **audit}).model_dump(
        mode="json"
    )  # every key: DVC asks for them by name
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    return Workspace.open(folder)


@pytest.fixture(scope="session")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace of `make_workspace`, which no test changes: see `workspace`."""
    return make_workspace(tmp_path_factory.mktemp("untouched") / "w").root


@pytest.fixture
def workspace(untouched: Path, tmp_path: Path) -> Workspace:
    """A copy of it, for one test."""
    return Workspace.open(shutil.copytree(untouched, tmp_path / "w", symlinks=True))


@pytest.fixture(scope="package", autouse=True)
def temporary_folder_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Where searches look for leftovers: not in the folders of other tests, whose simulated people are the same."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMU_SEARCH_TEMPORARY", str(tmp_path_factory.mktemp("search")))
        yield


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """One Prefect server for all tests of the process; yields the environment that child processes need."""
    home = tmp_path_factory.mktemp("prefect")
    os.environ["PREFECT_HOME"] = str(home)
    os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"
    os.environ["PREFECT_LOGGING_LEVEL"] = "WARNING"
    from prefect.settings import PREFECT_API_URL, PREFECT_LOCAL_STORAGE_PATH, temporary_settings
    from prefect.testing.utilities import prefect_test_harness

    with (
        prefect_test_harness(server_startup_timeout=150),
        temporary_settings({PREFECT_LOCAL_STORAGE_PATH: home / "results"}),
    ):
        yield {
            "PREFECT_API_URL": PREFECT_API_URL.value(),
            "PREFECT_HOME": str(home),
            "PREFECT_LOCAL_STORAGE_PATH": str(home / "results"),
            "PREFECT_LOGGING_LEVEL": "WARNING",
        }
