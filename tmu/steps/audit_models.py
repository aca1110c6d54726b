"""Audit: set an unlearned model beside its gold, and beside the three rows that say what the numbers mean."""

from pathlib import Path
from typing import Any

import numpy as np

from tmu.audit.ceiling import predictor_ceiling
from tmu.audit.figures import Predictor
from tmu.audit.gate import judge
from tmu.audit.metrics.registry import broken_plugins, metric_modules
from tmu.audit.moved import parameters_moved
from tmu.audit.outputs import Outputs, Sets
from tmu.audit.people import people_report
from tmu.audit.report import write_audit
from tmu.audit.table import ORIGINAL, RANDOM_CHOICE, audit_table
from tmu.config import Params
from tmu.errors import RequestError
from tmu.files import write_json
from tmu.manifest import digest
from tmu.models.registry import module_of
from tmu.refs import AuditRef, ModelRef, TwinRef
from tmu.steps.adopted import adoption_in_words
from tmu.steps.audit_artifact import identity_of_audit, provenance_of, seconds_of
from tmu.steps.audit_sets import audit_sets, subjects_of
from tmu.steps.cases import AuditCase
from tmu.steps.fit_twin import load_twin, twin_report
from tmu.steps.loading import load_model, run_record
from tmu.steps.making import make
from tmu.steps.probe_model import probe_model
from tmu.train import Examples, logits_of
from tmu.train.lane import pick_device
from tmu.twin.features import feature_modules
from tmu.unlearn import method_names, needs_twin
from tmu.unlearn.choose import hard_count
from tmu.workspace import Workspace

GOLD_ROWS = ("gold", "second gold")


def code_of(params: Params) -> tuple[str, ...]:
    """The modules whose closure is the code of this step, with all metrics."""
    return (__name__, module_of(params.model.name), *feature_modules(params.twin.features), *metric_modules())


def audit_models(workspace: Workspace, case: AuditCase, *, out: str | None = None) -> AuditRef:
    """Numbers, verdict, figures and report of one deletion.

    Raises RequestError with fewer than two golds, or where no training record was forgotten.
    """
    if len(case.golds) < 2:
        raise RequestError("The audit has fewer than two golds.", "Train a second one: the noise floor comes from it.")
    rows = rows_of(case)
    identity = identity_of_audit(
        code_of(case.params),
        case,
        rows,
        twin=case.twin.digest if case.twin else None,
        config=case.params.audit.model_dump(mode="json"),
    )

    def build(folder: Path, run: dict[str, Any]) -> None:
        run["seconds_by_row"] = _seconds(workspace, rows, case.twin)
        _audit(workspace, case, folder, run["seconds_by_row"]["whole"])
        if case.twin:
            write_json(folder / "twin.json", twin_report(workspace, case.twin))

    uri, folder = make(workspace, "audit", identity, build, out)
    return AuditRef(uri=uri, digest=digest(folder))


def rows_of(case: AuditCase) -> dict[str, ModelRef]:
    """The models by the name of their row; the last one is judged."""
    names = [*GOLD_ROWS, *(f"gold {number}" for number in range(3, len(case.golds) + 1))]
    rows = {ORIGINAL: case.original, **dict(zip(names, case.golds, strict=True))}
    return rows | ({RANDOM_CHOICE: case.control} if case.control else {}) | {case.method: case.unlearned}


def _audit(workspace: Workspace, case: AuditCase, folder: Path, seconds: dict[str, float]) -> None:
    """Outputs and probes once per model, then numbers, verdict, persons, figures and report."""
    rows, params = rows_of(case), case.params
    parts = audit_sets(workspace, case.data, case.forget)
    sets = Sets({name: part.labels.numpy() for name, part in parts.items()})
    outputs = {name: outputs_of(workspace, model, parts, params) for name, model in rows.items()}
    gold_rows = [name for name in rows if name in GOLD_ROWS or name.startswith("gold ")]
    probes = {
        name: probe_model(workspace, case.data, case.forget, case.original, model, parts, params)
        for name, model in rows.items()
        if params.audit.probes
    }
    result = audit_table(
        sets, outputs, gold_rows, seconds, params.seed, resamples=params.audit.bootstrap, probes=probes
    )
    changed = _changed(workspace, case.original, case.unlearned)
    verdict = judge(result, case.method, params.audit, **changed)
    people = people_report(
        subjects_of(workspace, case.data, case.forget), sets, outputs, gold_rows, case.method, params.seed
    )
    predictor, ceiling = _predictor(workspace, case, parts, sets, [outputs[row] for row in gold_rows])
    write_audit(
        folder,
        result,
        verdict,
        case.notes | _left_out() | provenance_of(case, rows, **adoption_in_words(workspace, case.original.weights)),
        sets,
        outputs,
        method_row=case.method,
        predictor=predictor,
        ceiling=ceiling,
        people=people,
        changed=changed,
    )


def _changed(workspace: Workspace, original: ModelRef, model: ModelRef) -> dict[str, Any]:
    """What the gate's first rule asks: other bytes, and how far the trained parameters moved."""
    moved = parameters_moved(load_model(workspace, original)[0], load_model(workspace, model)[0])
    return {"weights_changed": original.weights != model.weights, "parameters_moved": moved}


def outputs_of(workspace: Workspace, model: ModelRef, parts: dict[str, Examples], params: Params) -> Outputs:
    """A model's logits on the sets, computed once; every metric is derived from them."""
    module, _ = load_model(workspace, model)
    device, size = pick_device(workspace.settings.device), params.audit.batch_size
    return Outputs(
        {name: logits_of(module, part.images, batch_size=size, device=device).numpy() for name, part in parts.items()}
    )


def _seconds(workspace: Workspace, rows: dict[str, ModelRef], twin: TwinRef | None) -> dict[str, dict[str, float]]:
    """`alone`: making the model; `whole`: with the twin counted in full."""
    alone = seconds_of(workspace, rows)
    shared = run_record(workspace, twin)["seconds_total"] if twin else 0.0
    with_twin = {name for name in rows if name == RANDOM_CHOICE or (name in method_names() and needs_twin(name))}
    whole = {name: value + (shared if name in with_twin else 0.0) for name, value in alone.items()}
    return {"alone": alone, "whole": whole, "twin": {"twin": shared}}


def _predictor(
    workspace: Workspace, case: AuditCase, parts: dict[str, Examples], sets: Sets, golds: list[Outputs]
) -> tuple[Predictor | None, dict[str, Any] | None]:
    """The predictor's word beside the first gold's outcome (for the picture), and its score against all golds."""
    if case.twin is None:
        return None, None
    p_wrong, n_hard = predicted(workspace, case.original, case.twin, parts)
    wrong = np.stack([gold.logits["forget"].argmax(1) != sets.labels["forget"] for gold in golds])
    return Predictor(p_wrong, wrong[0]), predictor_ceiling(p_wrong, wrong, n_hard=n_hard)


def predicted(
    workspace: Workspace, original: ModelRef, twin: TwinRef, parts: dict[str, Examples]
) -> tuple[np.ndarray, int]:
    """What the twin's predictor says of the forget set: P(gold wrong) (N,), and the calibrated number of hard ones."""
    model, _ = load_model(workspace, original)
    fitted = load_twin(workspace, twin)
    side = fitted.side(model, parts["forget"], parts["retain"], pick_device(workspace.settings.device))
    return fitted.p_wrong(side).numpy(), hard_count(parts["forget"].labels, fitted.predictor.class_error)


def _left_out() -> dict[str, str]:
    """Plugins whose metrics the report lacks, and why."""
    return {f"no metrics of `{name}`": why for name, why in broken_plugins().items()}
