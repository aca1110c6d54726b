"""Made-up results of a bench suite in the stored form, for tests of tables and figures."""

from typing import Any

import numpy as np
import pyarrow as pa

from bench.densities import density_rows, reliability_rows
from bench.results import SCHEMA

SEEDS = (0, 1, 2)
METRICS = {"average_gap": "pts", "activation_distance": "L2", "label_agreement": "%", "ua": "%", "accuracy_test": "%"}


def row(method: str, metric: str, value: float, seed: int = 0, forget_set: str = "random-10", **more: Any) -> dict:
    """One stored row."""
    texts = dict.fromkeys(("command", "commit", "at"), "x") | {"hardware": "cores 2", "suite": "s", "dataset": "d"}
    unit = METRICS.get(metric, "")
    numbers = {"seed": seed, "value": value, "seconds": 1.0, "unit": unit}
    return {**texts, **numbers, "forget_set": forget_set, "method": method, "metric": metric} | more


def rows(method: str, metric: str, values: list[float], forget_set: str = "random-10") -> list[dict]:
    """One row a seed."""
    return [row(method, metric, value, seed, forget_set) for seed, value in enumerate(values)]


def table(made: list[dict]) -> pa.Table:
    """Rows as the store gives them back."""
    return pa.Table.from_pylist(made, SCHEMA)


def suite(
    forget_sets: tuple[str, ...] = ("random-10", "whole-class"), baselines: tuple[str, ...] = ("finetune",)
) -> list[dict]:
    """Every kind of row that a suite may hold, with plausible numbers; the same on every call."""
    rng, made = np.random.default_rng(0), []
    levels = {"second gold": 0.4, "original": 4.0, "random choice": 2.8, "tmu": 1.5, "tmu-soft": 0.6}
    levels |= {name: 1.0 + place for place, name in enumerate(baselines)} | {"tmu-soft/no-neighbours": 1.1}
    for forget_set in forget_sets:
        made += [r for seed in SEEDS for r in _plain("gold", seed, forget_set, 10.0, rng)]
        for method, level in levels.items():
            for seed in SEEDS:
                made += _plain(method, seed, forget_set, 10.0 - level, rng)
                made += _distances(method, seed, forget_set, level, rng)
        for seed in SEEDS:
            made += _twin(seed, forget_set, rng)
    return made + _stream(rng)


def _plain(method: str, seed: int, forget_set: str, ua: float, rng: np.random.Generator) -> list[dict]:
    numbers = {"ua": ua + rng.normal(0, 0.2), "accuracy_retain": 99.0, "accuracy_test": 89 + rng.normal(0, 0.2)}
    numbers |= {"mia_efficacy": 2 * ua + rng.normal(0, 0.2), "seconds_alone": 100 + rng.normal()}
    confidence = rng.beta(6, 0.4 + 0.08 * max(10 - ua, 0) ** 0.5, 400)
    densities = [row(method, metric, v, seed, forget_set, unit=unit) for metric, v, unit in density_rows(confidence)]
    return [row(method, metric, value, seed, forget_set) for metric, value in numbers.items()] + densities


def _distances(method: str, seed: int, forget_set: str, level: float, rng: np.random.Generator) -> list[dict]:
    alone = rng.uniform(0.1, 0.5)
    numbers = {
        "average_gap": level + rng.normal(0, 0.08),
        "activation_distance": 0.08 + 0.03 * level + rng.normal(0, 0.002),
        "label_agreement": 95 - level + rng.normal(0, 0.2),
        "klom_forget": 0.35 + level,
        "klom_forget_floor": 0.35,
        "rmia_auc": 50 + level,
    }
    if method not in ("original", "second gold"):
        numbers["seconds_ratio_alone"] = alone
        numbers["seconds_ratio_whole"] = alone + 1.2 * ("tmu" in method or method == "random choice")
    return [row(method, metric, value, seed, forget_set) for metric, value in numbers.items()]


def _twin(seed: int, forget_set: str, rng: np.random.Generator) -> list[dict]:
    p_wrong = rng.beta(0.5, 3, 500)
    golds = rng.random((5, 500)) < p_wrong
    numbers = {"auroc_single_gold": 0.93, "auroc_ceiling": 0.94, "auroc_mean_gold": 0.93, "seconds_alone": 120.0}
    made = [row("twin", metric, value + rng.normal(0, 0.01), seed, forget_set) for metric, value in numbers.items()]
    binned = reliability_rows(p_wrong, golds.mean(axis=0))
    return made + [row("twin", metric, value, seed, forget_set, unit=unit) for metric, value, unit in binned]


def _stream(rng: np.random.Generator, deletions: int = 6) -> list[dict]:
    made = []
    for number in range(1, deletions + 1):
        for seed in SEEDS:
            for method, slope in {"tmu-soft": 0.2, "second gold": 0.0, "original": 0.6, "gold": 0.0}.items():
                numbers = {"average_gap": 0.5 + slope * number, "activation_distance": 0.1 + 0.01 * slope * number}
                numbers["accuracy_test"] = 89.0 - slope
                name = f"stream/{number:02d}"
                made += [row(method, m, v + rng.normal(0, 0.004), seed, name) for m, v in numbers.items()]
    return made
