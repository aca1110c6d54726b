"""Choose the methods' options on twin problems, where the gold is free: no real gold and no test set is looked at.

    python -m bench.tune digits fashion-mnist --seeds 10-11

The twin problem of a seed: forget a random part S of the hold-out, a tenth of D in size, from M_t; the gold is M_o,
which never saw S. Predictor and targets are fitted on the rest of the hold-out, so that S is to them what a forget set
is. Seeds are not those of the reported results. Score: activation distance + |UA gap| / 100 + Kolmogorov-Smirnov
distance of the true-class confidence, each against M_o on S; lower is better. Writes results/tune-on-twin.*.
"""

import argparse
import copy
import time
from functools import partial
from typing import Any

import numpy as np
import torch
from scipy.stats import ks_2samp

from bench import results
from bench.alignment import RECIPES, SHARE, WORLDS
from bench.statistics import over_seeds
from bench.world import build_world, stamp
from tmu.config import Seeds
from tmu.steps.fit_twin import fit_twin, load_twin
from tmu.steps.loading import examples, load_model, open_store
from tmu.steps.train_model import train_original
from tmu.train import Examples, fit, logits_of
from tmu.train.order import hash_keys, stream
from tmu.twin.twin import Twin, fit_on_side
from tmu.unlearn import get_method
from tmu.unlearn.problem import Problem

SUITE = "tune-on-twin"
GRID: dict[str, list[dict[str, Any]]] = {
    "finetune": [{"lr": lr} for lr in (0.01, 0.05, 0.1)],
    "random-label": [{"lr": lr, "steps": steps} for lr in (0.003, 0.01, 0.03) for steps in (150, 300)],
    "tmu": [
        *({"hard_weight": w, "easy_weight": w} for w in (0.25, 0.5, 1.0)),
        {"hard_weight": 0.5, "easy_weight": 0.5, "noise": 0.0},
        {"hard_weight": 0.5, "easy_weight": 0.5, "confidence": "one"},
        {"hard_weight": 0.5, "easy_weight": 0.5, "confidence": "one", "hard_label": "random"},
    ],
    "tmu-soft": [
        *({"forget_weight": w, "lr": lr} for w in (2.0, 5.0) for lr in (0.02, 0.05)),
        {"forget_weight": 5.0, "lr": 0.02, "steps": 200},
        {"forget_weight": 5.0, "lr": 0.02, "steps": 900},
    ],
}


def tune(dataset: str, seed: int) -> None:
    """Run the grid on one twin problem and store the numbers."""
    world = build_world(WORLDS / f"{dataset}-{seed}", dataset, RECIPES[dataset], seed, SHARE)
    workspace, params = world.workspace, world.params
    original = train_original(workspace, world.data, params)
    twin = load_twin(workspace, fit_twin(workspace, world.data, original, params))
    gold, _ = load_model(workspace, original)
    store = open_store(workspace, world.data)
    train, holdout = examples(store, "train"), examples(store, "holdout")
    asked, rest = _divide(holdout, round(SHARE * len(train)), seed)
    twin = _refit(twin, gold, train, rest, seed)
    problem = partial(
        Problem,
        forget=asked,
        retain=train,
        holdout=rest,
        classes=len(store.info.classes),
        recipe=params.train,
        seeds=Seeds.all(seed),
        fit=partial(fit, threads=1),
        fresh=lambda: copy.deepcopy(gold),
        twin=twin,
    )
    common = {"dataset": dataset, "forget_set": "part of the hold-out", "seed": seed, **stamp()}
    common["command"] = f"python -m bench.tune {dataset} --seeds {seed}"
    results.add(SUITE, [{**common, **row} for row in _scores("do nothing", twin.model, gold, asked, train, 0.0)])
    for method, grid in GRID.items():
        for options in grid:
            name = f"{method} {' '.join(f'{key}={value}' for key, value in options.items())}"
            if seed in results.values(results.read(SUITE), dataset=dataset, method=name, metric="score"):
                continue  # measured before: a run that was stopped goes on
            module, model = get_method(method), copy.deepcopy(twin.model)
            started = time.perf_counter()
            module.unlearn(problem(model=model), module.Options(**options))
            seconds = time.perf_counter() - started
            results.add(SUITE, [{**common, **row} for row in _scores(name, model, gold, asked, train, seconds)])


def _divide(holdout: Examples, count: int, seed: int) -> tuple[Examples, Examples]:
    chosen = torch.zeros(len(holdout), dtype=torch.bool)
    chosen[torch.from_numpy(hash_keys(holdout.keys, stream(seed, "tune")).argsort()[:count].copy())] = True
    return holdout.take(chosen), holdout.take(~chosen)


def _refit(twin: Twin, gold: torch.nn.Module, train: Examples, rest: Examples, seed: int) -> Twin:
    """The same nets; predictor, targets and confidences from the rest of the hold-out alone."""
    return fit_on_side(twin.model, twin.curriculum, gold, train, rest, twin.config, seed)[0]


def _scores(
    name: str, model: torch.nn.Module, gold: torch.nn.Module, asked: Examples, train: Examples, seconds: float
) -> list[dict[str, Any]]:
    labels = asked.labels
    mine, theirs = (logits_of(net, asked.images).softmax(1) for net in (model, gold))
    distance = float((mine - theirs).norm(dim=1).mean())
    ua = [100 * float((p.argmax(1) != labels).float().mean()) for p in (mine, theirs)]
    confidence = [p.gather(1, labels[:, None])[:, 0].numpy() for p in (mine, theirs)]
    ks = float(ks_2samp(*confidence).statistic)
    kept = 100 * float((logits_of(model, train.images).argmax(1) == train.labels).float().mean())
    numbers = {
        "activation_distance": (distance, "L2"),
        "ua": (ua[0], "%"),
        "ua_gold": (ua[1], "%"),
        "ks_confidence": (ks, ""),
        "accuracy_retain": (kept, "%"),
        "score": (distance + abs(ua[0] - ua[1]) / 100 + ks, ""),
        "seconds_alone": (seconds, "s"),
    }
    return [
        {"method": name, "metric": metric, "value": value, "unit": unit, "seconds": seconds}
        for metric, (value, unit) in numbers.items()
    ]


def render() -> None:
    """results/tune-on-twin.md: every candidate, mean over seeds."""
    table = results.read(SUITE)
    metrics = ("score", "activation_distance", "ua", "ua_gold", "ks_confidence", "accuracy_retain", "seconds_alone")
    lines = ["# Options chosen on twin problems", "", "Made by `bench/tune.py`; do not edit. Mean over seeds.", ""]
    lines += [line for line in __doc__.splitlines()[4:] if line] + [""]
    for dataset in sorted(set(table["dataset"].to_pylist())):
        found = {row["method"] for row in table.to_pylist() if row["dataset"] == dataset}
        seeds = sorted(results.values(table, dataset=dataset, method="do nothing", metric="score"))
        lines += [f"## {dataset}, seeds {seeds}", "", "| candidate | " + " | ".join(metrics) + " |"]
        lines.append("|---" * (len(metrics) + 1) + "|")
        for method in sorted(found, key=lambda m: (m.split(" ")[0], _mean(table, dataset, m, "score"))):
            cells = [f"{_mean(table, dataset, method, metric):.4g}" for metric in metrics]
            lines.append(f"| {method} | " + " | ".join(cells) + " |")
        lines.append("")
    (results.FOLDER / f"{SUITE}.md").write_text("\n".join(lines))


def _mean(table: Any, dataset: str, method: str, metric: str) -> float:
    return over_seeds(results.values(table, dataset=dataset, method=method, metric=metric)).mean


def main() -> None:
    """Run what was asked for, then render."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("datasets", nargs="+", choices=sorted(RECIPES))
    parser.add_argument("--seeds", default="10-11", help="a seed or a range; not those of the reported results")
    options = parser.parse_args()
    torch.set_num_threads(1)
    first, _, last = options.seeds.partition("-")
    for dataset in options.datasets:
        for seed in np.arange(int(first), int(last or first) + 1).tolist():
            tune(dataset, seed)
    render()


if __name__ == "__main__":
    main()
