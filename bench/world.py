"""One world of a benchmark: a workspace with its own split, original, golds, twin and forget set."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tmu.audit.ceiling import predictor_ceiling
from tmu.audit.outputs import Sets
from tmu.audit.table import ORIGINAL, RANDOM_CHOICE, audit_table
from tmu.config import Params, UnlearnConfig
from tmu.provenance import git_state, hardware, now
from tmu.refs import DataRef, ForgetRef, ModelRef, TwinRef
from tmu.steps.audit_models import GOLD_ROWS, audit_sets, outputs_of, predicted
from tmu.steps.fit_twin import fit_twin, twin_report
from tmu.steps.import_data import import_data
from tmu.steps.loading import data_ref, open_store, run_record
from tmu.steps.plan_deletion import acknowledge, plan_deletion
from tmu.steps.train_model import train_gold, train_original
from tmu.steps.unlearn_model import CONTROL, unlearn_model
from tmu.train.order import stream
from tmu.workspace import Workspace


@dataclass(frozen=True)
class World:
    """A workspace with its data and forget set."""

    workspace: Workspace
    data: DataRef
    forget: ForgetRef
    params: Params


def build_world(folder: Path, dataset: str, recipe: dict[str, Any], seed: int, share: float) -> World:
    """Import (once) and choose a random `share` of the training records to forget."""
    workspace = Workspace.create(folder)
    params = Params.model_validate({"seed": seed, "train": recipe["train"], "twin": recipe["twin"]})
    if not workspace.data.exists():
        options = dict(recipe["options"])
        if dataset != "digits":
            options |= {"root": os.path.join(os.environ["TMU_SHARED_DATA"], dataset), "sample_seed": seed}
        import_data(workspace, dataset, options, split_seed=seed, **recipe["layout"])
    data = data_ref(workspace)
    train = open_store(workspace, data).load("train").keys
    drawn = np.random.default_rng(stream(seed, "forget set")).permutation(len(train))[: round(share * len(train))]
    plan = plan_deletion(workspace, data, [], [train[row] for row in drawn])
    return World(workspace, data, acknowledge(workspace, plan), params)


def measure(world: World, methods: Sequence[str], golds: int) -> list[dict[str, Any]]:
    """Train, unlearn and audit everything: result rows without the columns that the caller knows."""
    models, twin = _models(world, methods, golds)
    parts = audit_sets(world.workspace, world.data, world.forget)
    sets = Sets({name: part.labels.numpy() for name, part in parts.items()})
    outputs = {row: outputs_of(world.workspace, model, parts, world.params) for row, model in models.items()}
    gold_rows = [row for row in models if row.endswith("gold") or row.startswith("gold ")]
    alone = {row: run_record(world.workspace, model)["seconds_total"] for row, model in models.items()}
    result = audit_table(sets, outputs, gold_rows, alone, world.params.seed)
    rows = [
        {"method": row["name"], "metric": name, "value": cell["value"], "unit": units[name], "seconds": row["seconds"]}
        for units in [{metric["name"]: metric["unit"] for metric in result.data["metrics"]}]
        for row in result.data["rows"]
        for name, cell in row["metrics"].items()
        if cell is not None
    ]
    rows += [
        {"method": row, "metric": "seconds_alone", "value": value, "unit": "s", "seconds": value}
        for row, value in alone.items()
    ]
    rows += _predictor_rows(world, models[ORIGINAL], twin, parts, sets, [outputs[row] for row in gold_rows])
    marks = stamp()
    return [{**row, **marks} for row in rows]


def _models(world: World, methods: Sequence[str], golds: int) -> tuple[dict[str, ModelRef], TwinRef]:
    workspace, data, forget, params = world.workspace, world.data, world.forget, world.params
    original = train_original(workspace, data, params)
    names = [*GOLD_ROWS, *(f"gold {number}" for number in range(3, golds + 1))][:golds]
    models = {ORIGINAL: original}
    models |= {name: train_gold(workspace, data, forget, params, run=run) for run, name in enumerate(names)}
    twin = fit_twin(workspace, data, original, params)
    configs = {RANDOM_CHOICE: CONTROL} | {method: UnlearnConfig(method=method) for method in methods}
    for row, config in configs.items():
        chosen = params.model_copy(update={"unlearn": config})
        models[row] = unlearn_model(workspace, data, forget, original, twin, chosen)
    return models, twin


def _predictor_rows(
    world: World, original: ModelRef, twin: TwinRef, parts: dict, sets: Sets, golds: list
) -> list[dict[str, Any]]:
    p_wrong, n_hard = predicted(world.workspace, original, twin, parts)
    wrong = np.stack([gold.logits["forget"].argmax(1) != sets.labels["forget"] for gold in golds])
    quality = predictor_ceiling(p_wrong, wrong, n_hard=n_hard)
    seconds = run_record(world.workspace, twin)["seconds_total"]
    report = twin_report(world.workspace, twin)["predictor"]
    numbers = {
        "auroc_mean_gold": quality["auroc_mean_gold"],
        "auroc_single_gold": (quality["auroc"] or {}).get("mean"),
        "auroc_ceiling": (quality["ceiling"] or {}).get("mean"),
        "auroc_on_twin": report["auroc"],
        "golds_scored": quality["golds"] - quality["skipped"],
        "seconds_alone": seconds,
    }
    return [
        {
            "method": "twin",
            "metric": name,
            "value": float(value),
            "unit": "s" if "seconds" in name else "",
            "seconds": seconds,
        }
        for name, value in numbers.items()
        if value is not None
    ]


def stamp() -> dict[str, str]:
    """Commit, hardware and time of a measurement."""
    machine = ", ".join(f"{name} {value}" for name, value in sorted(hardware().items()))
    return {"commit": git_state(Path(__file__).parents[1])["commit"], "hardware": machine, "at": now()}
