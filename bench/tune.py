"""Choose the methods' options on a twin problem, where the gold is free: no real gold and no test set is looked at.

    python -m bench.tune cpu-small --seed 10 [--only salun --only scrub]

The twin problem: forget a random part S of the hold-out, a tenth of D in size, from M_t; the gold is M_o, which never
saw S. Predictor and targets are fitted on the rest of the hold-out and calibrated there, so that S is to them what a
forget set is. The seed is none of the suite's. Score: activation distance + |UA gap| / 100 + Kolmogorov-Smirnov
distance of the true-class confidence on S + fall of the retain accuracy / 100, each against M_o; lower is better.
Every method has four candidates, one or two more where the best lay on the edge: `CANDIDATES` in its file, round its
published values. Writes results/tune-on-twin.*; what is stored is not run again.
"""

import argparse
import copy
import itertools
import time
from collections.abc import Iterator
from typing import Any

import torch
from pydantic import ValidationError
from scipy.stats import ks_2samp
from torch import nn

from bench import results
from bench import suite as suites
from bench.runner.cache import Cache
from bench.runner.ground import ground_file, load_ground
from bench.runner.models import Workshop
from bench.runner.start import HOME
from bench.stamp import stamp
from bench.statistics import over_seeds
from bench.variants import needs_references
from tmu.config import Config, Seeds
from tmu.files import digest_of
from tmu.stores.lock import locked
from tmu.train import Examples, logits_of
from tmu.train.lane import exact
from tmu.train.order import hash_keys, stream
from tmu.twin.twin import Twin, fit_on_side
from tmu.unlearn import get_method, method_names
from tmu.unlearn.problem import Problem

SUITE, SHARE = "tune-on-twin", 0.10
_BUDGET = 4
METRICS = ("score", "activation_distance", "ua", "ua_gold", "ks_confidence", "accuracy_retain", "seconds_alone")


def tune(name: str, seed: int, only: list[str]) -> None:
    """Run the candidates that are not stored yet on one twin problem."""
    suite = suites.load(name)
    ground = load_ground(ground_file(suite, HOME), "cpu")
    shop = Workshop(suite, ground, Cache(HOME / suite.name), "cpu")
    gold = shop.net(shop.original(seed))
    asked, rest = _divide(ground.holdout, round(SHARE * len(ground.train)), seed)
    twin = _refit(shop.load_twin(shop.twin(seed)), gold, ground.train, rest, seed)
    common = {"dataset": suite.dataset, "forget_set": "part of the hold-out", "seed": seed, **stamp(threads=1)}
    common["command"] = f"python -m bench.tune {name} --seed {seed}"

    def keep(method: str, model: nn.Module, seconds: float) -> None:
        rows = _scores(model, gold, asked, ground.train)
        rows |= {"seconds_alone": (seconds, "s")}
        with locked(HOME / "tune.lock"):
            results.add(
                SUITE,
                [
                    {**common, "method": method, "metric": metric, "value": value, "unit": unit, "seconds": seconds}
                    for metric, (value, unit) in rows.items()
                ],
            )

    keep("do nothing", twin.model, 0.0)
    for method, options in _candidates(only):
        label = " ".join([method, *(f"{key}={value}" for key, value in options.items())])
        if seed in results.values(results.read(SUITE), dataset=suite.dataset, method=label, metric="score"):
            continue
        module, model = get_method(method), copy.deepcopy(twin.model)
        engine, started = shop.engine("tune-" + digest_of(label)[:16]), time.process_time()
        problem = Problem(
            model=model,
            forget=asked,
            retain=ground.train,
            holdout=rest,
            classes=len(ground.classes),
            recipe=suite.train,
            seeds=Seeds.all(seed),
            fit=engine,
            fresh=lambda: shop.fresh(seed),
            twin=twin,
        )
        module.unlearn(problem, module.Options(**options))
        keep(label, model, time.process_time() - started)
        engine.clean()


def _candidates(only: list[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    for method in method_names():
        if (not only or method in only) and not needs_references(method):  # those are tuned on their own table
            yield from ((method, options) for options in candidates(method))


def candidates(method: str) -> list[dict[str, Any]]:
    """The options that are tried: those of the method's file, else from the schema of its options.

    Of a method that names none: its defaults, and its first positive numbers halved and doubled; four in all.
    """
    module = get_method(method)
    if hasattr(module, "CANDIDATES"):
        return list(module.CANDIDATES)
    defaults = module.Options().model_dump()
    numbers = {name: value for name, value in defaults.items() if isinstance(value, float) and value > 0}
    moved = ({name: factor * value} for name, value in numbers.items() for factor in (0.5, 2.0))
    return [{}, *itertools.islice((each for each in moved if _allowed(module.Options, each)), _BUDGET - 1)]


def _allowed(model: type[Config], options: dict[str, Any]) -> bool:
    try:
        model.model_validate(options)
    except ValidationError:
        return False
    return True


def _divide(holdout: Examples, count: int, seed: int) -> tuple[Examples, Examples]:
    chosen = torch.zeros(len(holdout), dtype=torch.bool)
    chosen[torch.from_numpy(hash_keys(holdout.keys, stream(seed, "tune")).argsort()[:count].copy())] = True
    return holdout.take(chosen), holdout.take(~chosen)


def _refit(twin: Twin, gold: nn.Module, train: Examples, rest: Examples, seed: int) -> Twin:
    """The same nets; predictor and confidences from the rest of the hold-out alone."""
    return fit_on_side(twin.model, twin.curriculum, gold, train, rest, twin.config, seed)[0]


def _scores(model: nn.Module, gold: nn.Module, asked: Examples, train: Examples) -> dict[str, tuple[float, str]]:
    labels = asked.labels
    mine, theirs = (logits_of(net, asked.images).softmax(1) for net in (model, gold))
    distance = float((mine - theirs).norm(dim=1).mean())
    ua = [100 * float((p.argmax(1) != labels).float().mean()) for p in (mine, theirs)]
    ks = float(ks_2samp(*(p.gather(1, labels[:, None])[:, 0].numpy() for p in (mine, theirs))).statistic)
    kept = [
        100 * float((logits_of(net, train.images).argmax(1) == train.labels).float().mean()) for net in (model, gold)
    ]
    score = distance + abs(ua[0] - ua[1]) / 100 + ks + max(0.0, kept[1] - kept[0]) / 100
    return {
        "activation_distance": (distance, "L2"),
        "ua": (ua[0], "%"),
        "ua_gold": (ua[1], "%"),
        "ks_confidence": (ks, ""),
        "accuracy_retain": (kept[0], "%"),
        "score": (score, ""),
    }


def render() -> None:
    """results/tune-on-twin.md: every candidate, mean over seeds."""
    table = results.read(SUITE)
    lines = ["# Options chosen on twin problems", "", "Made by `bench/tune.py`; do not edit. Mean over seeds.", ""]
    lines += [line for line in __doc__.splitlines()[4:] if line] + [""]
    for dataset in sorted(set(table["dataset"].to_pylist())):
        found = {row["method"] for row in table.to_pylist() if row["dataset"] == dataset}
        seeds = sorted(results.values(table, dataset=dataset, method="do nothing", metric="score"))
        lines += [f"## {dataset}, seeds {seeds}", "", "| candidate | " + " | ".join(METRICS) + " |"]
        lines.append("|---" * (len(METRICS) + 1) + "|")
        for method in sorted(found, key=lambda m: (m.split(" ")[0], _mean(table, dataset, m, "score"))):
            cells = [f"{_mean(table, dataset, method, metric):.4g}" for metric in METRICS]
            lines.append(f"| {method} | " + " | ".join(cells) + " |")
        lines.append("")
    (results.FOLDER / f"{SUITE}.md").write_text("\n".join(lines))


def _mean(table: Any, dataset: str, method: str, metric: str) -> float:
    return over_seeds(results.values(table, dataset=dataset, method=method, metric=metric)).mean


def main() -> None:
    """Run what was asked for, then render."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suite", help="name of a suite")
    parser.add_argument("--seed", type=int, default=10, help="not one of the suite's")
    parser.add_argument("--only", action="append", default=[], help="only this method; may be repeated")
    options = parser.parse_args()
    if options.seed in suites.load(options.suite).seeds:
        parser.error("that seed is one of the suite's: its numbers would be tuned on themselves")
    with exact(1):
        tune(options.suite, options.seed, options.only)
    render()


if __name__ == "__main__":
    main()
