"""What a table of references is, cost and is good for: as JSON, and as a run of MLflow."""

from statistics import mean
from typing import Any

from tmu.config import Params
from tmu.data.records import SPLITS
from tmu.refs import DataRef, ReferencesRef
from tmu.steps.history import History
from tmu.steps.read_references import read_info, read_run
from tmu.steps.register_model import dataset_name
from tmu.steps.renewal import renewal_of
from tmu.workspace import Workspace


def facts_of(workspace: Workspace, ref: ReferencesRef, params: Params) -> dict[str, Any]:
    """A table in numbers, JSON-ready.

    seconds: what the fit took by the clock. seconds_networks: of all trainings together. retrainings: the same in
    trainings of the original, None where none was measured on this machine. renewal: `fine`, `soon` or `due`.
    """
    info, run = read_info(workspace, ref), read_run(workspace, ref)
    renewal = renewal_of(workspace, ref, params)
    right = [each for each in info["holdout_accuracy_pct"] if each is not None]
    networks = sum(run["seconds_networks"])
    return {
        "pairs": info["pairs"],
        "networks": info["nets"],
        "inner": info["inner"],
        "records": {split: info["records"][split] for split in SPLITS},
        "erased_records": info["erased_records"],
        "erased_pct": round(100 * renewal.erased, 3),
        "deletions": info["deletions"],
        "fitted_at": run["fitted_at"],
        "renewal": renewal.state,
        "reasons": list(renewal.reasons),
        "accuracy_holdout_pct": round(mean(right), 2) if right else None,
        "seconds": round(run["seconds_total"], 3),
        "seconds_networks": round(networks, 3),
        "retrainings": _retrainings(workspace, params, info["n_train"], networks),
    }


def log_references(workspace: Workspace, data: DataRef, ref: ReferencesRef, params: Params) -> str:
    """Log a table in MLflow (the same run when called again); the run's id."""
    facts = facts_of(workspace, ref, params)
    numbers = ("accuracy_holdout_pct", "seconds", "seconds_networks", "retrainings", "erased_records")
    return workspace.registry.log_table(
        dataset_name(workspace, data),
        digest=ref.digest,
        params={name: getattr(params, name).model_dump(mode="json") for name in ("model", "train", "references")}
        | {"seed": params.seed},
        metrics={name: facts[name] for name in numbers if facts[name] is not None},
        data_digest=data.digest,
        n_records=facts["records"],
    )


def _retrainings(workspace: Workspace, params: Params, records: int, seconds: float) -> float | None:
    visit = History(workspace, params).seconds_per_visit()
    return None if visit is None else round(seconds / (visit * records * params.train.epochs), 3)
