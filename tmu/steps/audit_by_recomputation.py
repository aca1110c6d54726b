"""Audit of a model with a ridge head: its statistics are summed anew over the records that stay, and compared."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from tmu.audit.equality import Equality
from tmu.audit.equality_report import result_of, write_equality_audit
from tmu.config import Params, Seeds
from tmu.deletion.plan import RETRAIN
from tmu.errors import RequestError, TmuError
from tmu.manifest import digest
from tmu.models.bundle import Arch
from tmu.models.registry import head_of, module_of
from tmu.refs import AuditRef
from tmu.ridge.fit import statistics_of
from tmu.ridge.solve import solve
from tmu.ridge.statistics import Statistics
from tmu.steps.audit_artifact import identity_of_audit, provenance_of, put_seconds, seconds_of
from tmu.steps.audit_sets import audit_sets
from tmu.steps.cases import RidgeAuditCase
from tmu.steps.loading import fresh_model, load_model
from tmu.steps.making import lane_of, make
from tmu.steps.ridge_statistics import load_statistics
from tmu.steps.starts import start_of
from tmu.train import Examples, logits_of
from tmu.train.engine import Progress
from tmu.train.lane import pick_device
from tmu.workspace import Workspace

_PROOF = "equality: the statistics were summed anew over the records that stay; no model was retrained"


def code_of(params: Params) -> tuple[str, ...]:
    """The modules whose closure is the code of this step."""
    return (__name__, module_of(params.model.name))


def audit_by_recomputation(
    workspace: Workspace, case: RidgeAuditCase, *, progress: Progress | None = None, out: str | None = None
) -> AuditRef:
    """Numbers, verdict and report of one deletion. Cost: one forward pass over the records that stay.

    Raises RequestError where no training record was forgotten.
    """
    rows, params = {"original": case.original, case.method: case.unlearned}, case.params
    statistics = case.statistics.digest if case.statistics else None
    identity = identity_of_audit(
        code_of(params),
        case,
        rows,
        statistics=statistics,
        ridge=params.train.ridge,
        config=params.audit.model_dump(mode="json", include={"bootstrap", "batch_size"}),
        lane=lane_of(workspace, params.train),
    )

    def build(folder: Path, run: dict[str, Any]) -> None:
        found, correct = _compared(workspace, case, progress)
        result = result_of(found, correct, case.method, params.audit, params.seed)
        put_seconds(result, run, seconds_of(workspace, rows))
        provenance = provenance_of(case, rows, proof=_PROOF, statistics=statistics or "none")
        write_equality_audit(folder, found, result, case.notes | provenance)

    uri, folder = make(workspace, "audit", identity, build, out)
    return AuditRef(uri=uri, digest=digest(folder))


def _compared(
    workspace: Workspace, case: RidgeAuditCase, progress: Progress | None
) -> tuple[Equality, dict[str, dict[str, np.ndarray]]]:
    """What equality is judged by, and which records each model gets right, by model and set."""
    sets = audit_sets(workspace, case.data, case.forget)
    if not len(sets["retain"]):
        raise RequestError("No training record stays.", "There is nothing to solve a head from.")
    (original, _), (model, arch) = (load_model(workspace, each) for each in (case.original, case.unlearned))
    device = pick_device(workspace.settings.device)
    start = _start(workspace, case, original, arch)
    anew = statistics_of(start, sets["retain"], device, progress)
    gone = statistics_of(start, sets["forget"], device)
    facts = {"records": anew.records, "original": (anew + gone).distance(anew)}
    found = Equality(start=_same_body(model, start), **facts, **_distances(workspace, case, model, anew))
    shown = {name: sets[name] for name in ("test", "forget")}
    return found, {
        name: {part: _right(net, records, case, device) for part, records in shown.items()}
        for name, net in (("original", original), ("unlearned", model))
    }


def _start(workspace: Workspace, case: RidgeAuditCase, original: nn.Module, arch: Arch) -> nn.Module:
    """The frozen network: a retraining's own start, else the original's."""
    if case.method != RETRAIN:
        return original
    return fresh_model(arch, Seeds.all(case.params.seed).init, start_of(workspace, case.params))


def _distances(workspace: Workspace, case: RidgeAuditCase, model: nn.Module, anew: Statistics) -> dict[str, Any]:
    """The model's own statistics against those that were summed anew."""
    if case.statistics is None:
        return {"fault": "they are gone or damaged."}
    try:
        own = load_statistics(workspace, case.statistics)
        head, wanted = (solve(each, case.params.train.ridge) for each in (own, anew))
        return {
            "counts": torch.equal(own.counts, anew.counts),
            "statistics": own.distance(anew),
            "head": head.distance(wanted),
            "weights": wanted.distance_to_head(model),
        }
    except TmuError as error:
        return {"fault": error.what}


def _same_body(model: nn.Module, start: nn.Module) -> bool:
    """Whether all but the heads' weights is equal bit for bit."""
    mine, theirs = (_body(each) for each in (model, start))
    return mine.keys() == theirs.keys() and all(
        torch.equal(value.cpu(), theirs[name].cpu()) for name, value in mine.items()
    )


def _body(model: nn.Module) -> dict[str, torch.Tensor]:
    head = {id(part) for part in head_of(model).parameters()}
    state = model.state_dict(keep_vars=True)
    return {name: value.detach() for name, value in state.items() if id(value) not in head}


def _right(model: nn.Module, records: Examples, case: RidgeAuditCase, device: torch.device) -> np.ndarray:
    if not len(records):
        return np.zeros(0, dtype=bool)
    size = case.params.audit.batch_size
    logits = logits_of(model, records.images, batch_size=size, device=device)
    return (logits.argmax(1) == records.labels).numpy()
