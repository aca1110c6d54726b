"""The cells of the matrix: which stage meets which fault."""

import fnmatch
import random
from collections.abc import Sequence
from dataclasses import dataclass

STATES = ("forgetting_data", "unlearning", "auditing", "promoting", "purging", "verifying")
WITHIN = {"certifying": "verifying", "sealing": "completed"}
"""Stages that the ledger does not name, and what it says meanwhile."""
STAGES = (*STATES, *WITHIN)
FAULTS = {
    "flow": "kill -9 of the flow process",
    "worker": "kill -9 of the worker",
    "both": "kill -9 of worker and flow process",
    "prefect": "kill -9 of the Prefect server",
    "mlflow": "kill -9 of the MLflow server",
    "postgres": "kill -9 of PostgreSQL",
    "s3": "kill -9 of the S3 gateway",
    "disk": "full disk",
    "s3-503": "S3 answers 503",
    "s3-hang": "S3 accepts and never answers",
}
EXTRAS = {
    "together/deployment": "two runs of the deployment started at once",
    "together/processes": "two processes past Prefect's own limit, at once",
    "late/beside": "a frozen attempt wakes up beside its successor",
    "late/after": "a frozen attempt wakes up after its successor has finished",
    "cancel/training": "a person cancels in the middle of a training",
    "away/s3": "S3 is away for longer than the tasks' retries",
    "away/disk": "the disk is full for longer than that",
    "end/slots": "after all: every slot is free, and a full verification passes",
}


@dataclass(frozen=True)
class Cell:
    """A stage (or the name of an extra) and a fault."""

    stage: str
    fault: str

    def __str__(self) -> str:
        return f"{self.stage}/{self.fault}"


def matrix() -> list[Cell]:
    """All cells of the matrix, fault by fault."""
    return [Cell(stage, fault) for fault in FAULTS for stage in STAGES]


def extras() -> list[Cell]:
    """The cells outside the matrix."""
    return [Cell(*name.split("/")) for name in EXTRAS]


def chosen(patterns: Sequence[str]) -> list[Cell]:
    """The cells whose `stage/fault` matches any pattern (`*` for parts of it); all without patterns."""
    every = matrix() + extras()
    return [cell for cell in every if not patterns or any(fnmatch.fnmatch(str(cell), each) for each in patterns)]


def effect_of(cell: Cell, effects: int, attempt: int = 0) -> int:
    """Before which of a stage's effects its fault comes: drawn by the cell's name, the same each time.

    effects: how many the stage had when nothing disturbed it.
    """
    return random.Random(f"{cell}#{attempt}").randrange(max(1, effects))
