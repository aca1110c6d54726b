"""What is wanted, and what was done about it."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from tmu.workspace import Workspace

POOL = "tmu"
QUEUES = ("critical", "training")
"""In the order of their priority, 1 first."""
RESULTS = "tmu-results"
HEARTBEAT = 30
"""Seconds between two signs of life of a flow run; Prefect allows no less."""


@dataclass(frozen=True)
class Plan:
    """What bootstrapping goes by.

    root: folder with `prefect.yaml` and `flows/`; gpus: number of trainings at once; zone: time zone of schedules.
    """

    workspace: Path
    root: Path
    gpus: int
    zone: str

    @classmethod
    def of(cls, workspace: Workspace, root: Path | None = None) -> "Plan":
        """The plan of a workspace on this machine."""
        return cls(workspace.root, root or code_root(), gpus(workspace), workspace.settings.time_zone)


@dataclass(frozen=True)
class Change:
    """One object. done: kept, made, changed, or failed; `text` says what differed or why it failed."""

    kind: str
    name: str
    done: str
    text: str = ""


def code_root() -> Path:
    """The folder in which `flows/` lies."""
    return Path(importlib.util.find_spec("flows").origin).resolve().parents[1]


def gpus(workspace: Workspace) -> int:
    """How many trainings may run at once: one a GPU; one where there is none or the settings say CPU."""
    from infra.stack.worker import find_gpus

    return 1 if workspace.settings.device == "cpu" else max(1, len(find_gpus()))
