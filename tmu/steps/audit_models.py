"""Audit: set an unlearned model beside its gold, and beside the three rows that say what the numbers mean."""

from pathlib import Path
from typing import Any

import numpy as np

from tmu.audit.ceiling import predictor_ceiling
from tmu.audit.figures import Predictor
from tmu.audit.gate import judge
from tmu.audit.outputs import Outputs, Sets
from tmu.audit.report import write_audit
from tmu.audit.table import ORIGINAL, RANDOM_CHOICE, audit_table
from tmu.config import Params
from tmu.errors import RequestError
from tmu.files import write_json
from tmu.manifest import digest
from tmu.provenance import hardware, lock_digest
from tmu.refs import AuditRef, DataRef, ForgetRef, ModelRef, TwinRef
from tmu.steps.fit_twin import load_twin, twin_report
from tmu.steps.loading import examples, forget_keys, load_model, open_store, run_record
from tmu.steps.making import identity_of, make
from tmu.train import Examples, logits_of
from tmu.train.lane import pick_device
from tmu.unlearn import method_names, needs_twin
from tmu.unlearn.choose import hard_count
from tmu.workspace import Workspace

ROOMS = ("audit", "models", "train", "twin")
GOLD_ROWS = ("gold", "second gold")


def audit_models(
    workspace: Workspace,
    data: DataRef,
    forget: ForgetRef,
    original: ModelRef,
    golds: list[ModelRef],
    control: ModelRef | None,
    unlearned: ModelRef,
    twin: TwinRef | None,
    params: Params,
    *,
    out: str | None = None,
) -> AuditRef:
    """Numbers, verdict, figures and report of one deletion.

    golds: at least two, the first paired with the original, the others independent (the noise floor). control: the
    model of "right fraction, random choice". Without a twin (exact retraining) there is neither control nor predictor.
    Raises RequestError with fewer golds, or where no training record was forgotten.
    """
    if len(golds) < 2:
        raise RequestError("The audit has fewer than two golds.", "Train a second one: the noise floor comes from it.")
    rows = _rows(params.unlearn.method, original, golds, control, unlearned)
    identity = identity_of(
        "audit",
        ROOMS,
        data=data.digest,
        forget=forget.digest,
        models={name: model.weights for name, model in rows.items()},
        twin=twin.digest if twin else None,
        config=params.audit.model_dump(mode="json"),
        seed=params.seed,
    )

    def build(folder: Path, run: dict[str, Any]) -> None:
        parts = audit_sets(workspace, data, forget)
        run["seconds_by_row"] = _seconds(workspace, rows, twin)
        _audit(
            workspace,
            folder,
            parts,
            rows,
            twin,
            params,
            run["seconds_by_row"]["whole"],
            _provenance(data, forget, rows),
        )
        if twin:
            write_json(folder / "twin.json", twin_report(workspace, twin))

    uri, folder = make(workspace, "audit", identity, build, out)
    return AuditRef(uri=uri, digest=digest(folder))


def _audit(
    workspace: Workspace,
    folder: Path,
    parts: dict[str, Examples],
    rows: dict[str, ModelRef],
    twin: TwinRef | None,
    params: Params,
    seconds: dict[str, float],
    provenance: dict[str, Any],
) -> None:
    """Outputs once per model, then numbers, verdict, figures and report; the last row is the one that is judged."""
    sets = Sets({name: part.labels.numpy() for name, part in parts.items()})
    outputs = {name: outputs_of(workspace, model, parts, params) for name, model in rows.items()}
    gold_rows = [name for name in rows if name in GOLD_ROWS or name.startswith("gold ")]
    result = audit_table(sets, outputs, gold_rows, seconds, params.seed, resamples=params.audit.bootstrap)
    original, method = rows[ORIGINAL], list(rows)[-1]
    verdict = judge(result, method, params.audit, weights_changed=original.weights != rows[method].weights)
    predictor, ceiling = _predictor(workspace, original, twin, parts, sets, [outputs[row] for row in gold_rows])
    write_audit(
        folder, result, verdict, provenance, sets, outputs, method_row=method, predictor=predictor, ceiling=ceiling
    )


def _rows(
    method: str, original: ModelRef, golds: list[ModelRef], control: ModelRef | None, unlearned: ModelRef
) -> dict[str, ModelRef]:
    names = [*GOLD_ROWS, *(f"gold {number}" for number in range(3, len(golds) + 1))]
    rows = {ORIGINAL: original, **dict(zip(names, golds, strict=False))}
    return rows | ({RANDOM_CHOICE: control} if control else {}) | {method: unlearned}


def audit_sets(workspace: Workspace, data: DataRef, forget: ForgetRef) -> dict[str, Examples]:
    """Forget, retain and test set. A forgotten person's test records are left out: they are to be erased, too."""
    store, keys = open_store(workspace, data), forget_keys(workspace, forget)
    parts = {
        "forget": examples(store, "train", only=keys),
        "retain": examples(store, "train", without=keys),
        "test": examples(store, "test", without=keys),
    }
    if not len(parts["forget"]):
        raise RequestError("No training record was forgotten.", "There is no model to audit; the data are erased.")
    return parts


def outputs_of(workspace: Workspace, model: ModelRef, parts: dict[str, Examples], params: Params) -> Outputs:
    """A model's logits on the sets, computed once; every metric is derived from them."""
    module, _ = load_model(workspace, model)
    device, size = pick_device(workspace.settings.device), params.audit.batch_size
    return Outputs(
        {name: logits_of(module, part.images, batch_size=size, device=device).numpy() for name, part in parts.items()}
    )


def _seconds(workspace: Workspace, rows: dict[str, ModelRef], twin: TwinRef | None) -> dict[str, dict[str, float]]:
    """`alone`: making the model; `whole`: with the twin counted in full."""
    alone = {name: run_record(workspace, model)["seconds_total"] for name, model in rows.items()}
    shared = run_record(workspace, twin)["seconds_total"] if twin else 0.0
    with_twin = {name for name in rows if name == RANDOM_CHOICE or (name in method_names() and needs_twin(name))}
    whole = {name: value + (shared if name in with_twin else 0.0) for name, value in alone.items()}
    return {"alone": alone, "whole": whole, "twin": {"twin": shared}}


def _predictor(
    workspace: Workspace,
    original: ModelRef,
    twin: TwinRef | None,
    parts: dict[str, Examples],
    sets: Sets,
    golds: list[Outputs],
) -> tuple[Predictor | None, dict[str, Any] | None]:
    """The predictor's word beside the first gold's outcome (for the picture), and its score against all golds."""
    if twin is None:
        return None, None
    p_wrong, n_hard = predicted(workspace, original, twin, parts)
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


def _provenance(data: DataRef, forget: ForgetRef, rows: dict[str, ModelRef]) -> dict[str, Any]:
    models = {f"weights of {name}": model.weights for name, model in rows.items()}
    return {
        "data revision": data.digest,
        "forget set": forget.digest,
        "lock file": lock_digest(),
        "hardware": ", ".join(f"{key} {value}" for key, value in sorted(hardware().items())),
        **models,
    }
