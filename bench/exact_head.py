"""What an exact deletion from a ridge head costs beside retraining it: `python -m bench.exact_head`.

Two tables. Features: made up, by number of records; what the sums and the solution take, and a person of ten records
taken out, one by one and together. Digits: the embedded set through a small network that was trained on the hold-out
and is frozen; one contributor at a time is taken out, and the model is retrained without them.
"""

import copy
import json
import time
from collections.abc import Callable, Iterator
from statistics import median
from typing import Annotated, Any

import numpy as np
import torch
import typer
from torch import Tensor

from bench import results
from bench.stamp import stamp
from bench.tables.markdown import grid
from tmu.config import Seeds, TrainConfig
from tmu.data.readers.digits import Digits, DigitsOptions
from tmu.files import write_atomic, write_json
from tmu.models.registry import build
from tmu.ridge.fit import fit_ridge, without
from tmu.ridge.solve import solve
from tmu.ridge.statistics import Statistics, summed
from tmu.train import Examples, fit, logits_of
from tmu.train.lane import exact

COMMAND = "python -m bench.exact_head"
_WIDTH, _CLASSES, _PERSON, _RIDGE = 512, 10, 10, 1.0
_AT_ONCE = 4096
_PEOPLE = 20
_RECIPE = TrainConfig(head="ridge", ridge=_RIDGE)
_SGD = TrainConfig(epochs=20, precision="fp32")


def main(
    sizes: Annotated[str, typer.Option(help="Numbers of records with made-up features.")] = "1000,10000,100000",
    repeats: Annotated[int, typer.Option(min=1, help="Deletions that are timed, for each number.")] = 5,
) -> None:
    """Measure and store `results/exact-head.json` and `exact-head.md`."""
    with exact(1):
        features = [_features(int(float(size)), repeats) for size in sizes.split(",")]
        digits = _digits()
    found = {"features": features, "digits": digits, "repeats": repeats, **stamp(threads=1)}
    typer.echo(json.dumps(found))
    write_json(results.FOLDER / "exact-head.json", found)
    write_atomic(results.FOLDER / "exact-head.md", _page(found).encode())


def _features(size: int, repeats: int) -> dict[str, Any]:
    """Seconds and differences for one number of records."""
    batches = list(_made_up(size))
    whole, summing = _timed(lambda: summed(iter(batches), _CLASSES))
    _, solving = _timed(lambda: solve(whole, _RIDGE))
    features, labels = (torch.cat(part) for part in zip(*batches, strict=True))
    taken, apart = [], []
    for person in range(repeats):
        rows = torch.arange(person * _PERSON, (person + 1) * _PERSON)
        (left, head), seconds = _timed(lambda rows=rows: _taken_out(whole, features[rows], labels[rows]))
        stays = torch.ones(size, dtype=torch.bool).index_fill_(0, rows, False)
        anew = summed(_parts(features[stays], labels[stays]), _CLASSES)
        taken.append(seconds)
        apart.append((left.distance(anew), head.distance(solve(anew, _RIDGE))))
    many, one_by_one = _one_by_one(whole, features, labels, size // 2)
    return {
        "records": size,
        "retraining: sums (s)": summing,
        "retraining: solution (s)": solving,
        "deletion of one person (s)": median(taken),
        "statistics apart": max(each for each, _ in apart),
        "heads apart": max(each for _, each in apart),
        "deletions one by one": many,
        "statistics apart after them": one_by_one["whole numbers"],
        "the same in float64": one_by_one["float64"],
    }


def _taken_out(whole: Statistics, features: Tensor, labels: Tensor) -> tuple[Statistics, Any]:
    left = whole - Statistics.of(features, labels, _CLASSES)
    return left, solve(left, _RIDGE)


def _one_by_one(whole: Statistics, features: Tensor, labels: Tensor, most: int) -> tuple[int, dict[str, float]]:
    """At most a thousand deletions, each by itself, and how far the sums are from those of the records that stay."""
    count = min(1000, most)
    phi = torch.cat([features.double(), torch.ones(len(features), 1)], 1)
    left, rounded = whole, phi.T @ phi
    for row in range(count):
        left = left - Statistics.of(features[row : row + 1], labels[row : row + 1], _CLASSES)
        rounded -= phi[row][:, None] * phi[row]
    anew, wanted = summed(_parts(features[count:], labels[count:]), _CLASSES), phi[count:].T @ phi[count:]
    return count, {
        "whole numbers": left.distance(anew),
        "float64": float((rounded - wanted).norm() / wanted.norm()),
    }


def _digits() -> dict[str, Any]:
    """One contributor at a time taken out of the embedded digits, beside a retraining without them."""
    sets, people = _embedded()
    start = _start(sets["holdout"])
    model = copy.deepcopy(start)
    report, training = _timed(lambda: fit_ridge(model, sets["train"], _RECIPE))
    taken, retrained, apart = [], [], []
    for person in np.unique(people)[:_PEOPLE]:
        gone = torch.from_numpy(people == person)
        net, gold = copy.deepcopy(model), copy.deepcopy(start)
        left, seconds = _timed(
            lambda net=net, gone=gone: without(net, report.statistics, sets["train"].take(gone), _RECIPE)
        )
        anew, again = _timed(lambda gold=gold, gone=gone: fit_ridge(gold, sets["train"].take(~gone), _RECIPE))
        taken.append(seconds)
        retrained.append(again)
        apart.append((left.statistics.distance(anew.statistics), left.solved.distance(anew.solved)))
    whole = _small()
    _, by_sgd = _timed(lambda: fit(whole, sets["train"], _SGD, Seeds.all(0)))
    return {
        "records": len(sets["train"]),
        "people taken out, each by themselves": len(taken),
        "training (s)": training,
        "retraining without a person (s)": median(retrained),
        "deletion of a person (s)": median(taken),
        "statistics apart": max(each for each, _ in apart),
        "heads apart": max(each for _, each in apart),
        "test accuracy (%)": _accuracy(model, sets["test"]),
        "test accuracy of the whole network by SGD (%)": _accuracy(whole, sets["test"]),
        "its training (s)": by_sgd,
    }


def _embedded() -> tuple[dict[str, Examples], np.ndarray]:
    """Training, hold-out and test records by contributor, and whose each training record is."""
    records = list(Digits(DigitsOptions()).records())
    number = np.unique([each.subject for each in records], return_inverse=True)[1]
    images = torch.from_numpy(np.stack([each.image for each in records]))
    labels, keys = torch.tensor([each.label for each in records]), torch.arange(len(records))
    parts = {"train": number % 2 == 0, "holdout": number % 4 == 1, "test": number % 4 == 3}
    whole = Examples(images, labels, keys)
    return {name: whole.take(torch.from_numpy(part)) for name, part in parts.items()}, number[parts["train"]]


def _small() -> torch.nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return build("small_resnet", (1, 8, 8), _CLASSES, {"width": 16})


def _start(holdout: Examples) -> torch.nn.Module:
    """A network that has seen none of the training records."""
    model = _small()
    fit(model, holdout, _SGD, Seeds.all(0))
    return model


def _accuracy(model: torch.nn.Module, test: Examples) -> float:
    return 100 * float((logits_of(model, test.images).argmax(1) == test.labels).double().mean())


def _made_up(size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Features as after a ReLU, around a pattern of their class."""
    drawn = torch.Generator().manual_seed(size)
    patterns = torch.randn(_CLASSES, _WIDTH, generator=drawn)
    for at in range(0, size, _AT_ONCE):
        labels = torch.randint(0, _CLASSES, (min(_AT_ONCE, size - at),), generator=drawn)
        yield (patterns[labels] + torch.randn(len(labels), _WIDTH, generator=drawn)).relu(), labels


def _parts(features: Tensor, labels: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    return zip(features.split(_AT_ONCE), labels.split(_AT_ONCE), strict=True)


def _timed(call: Callable[[], Any]) -> tuple[Any, float]:
    started = time.process_time()
    result = call()
    return result, time.process_time() - started


def _page(found: dict[str, Any]) -> str:
    rows, digits = found["features"], found["digits"]
    names = [name for name in rows[0] if name != "records"]
    by_size = [(name, *(_shown(row[name]) for row in rows)) for name in names]
    return "\n".join(
        [
            "# exact-head: measured results",
            "",
            f"Made by `{COMMAND}`; do not edit. Processor seconds of one thread. Distances are relative, in the",
            f"Frobenius norm; 0 means the same bits. Features: {_WIDTH} a record, {_CLASSES} classes; one person is",
            f"{_PERSON} records, and the median is of {found['repeats']} people. A deletion is the person's sums, the",
            "difference and the solution.",
            "",
            f"Commit {found['commit'][:12]}, {found['at']}, on: {found['hardware']}.",
            "",
            *grid(("made-up features", *(f"{row['records']:,} records" for row in rows)), by_size),
            "",
            "The embedded digits: half of the contributors train, a quarter (the hold-out) had trained the network,",
            "which is frozen; a quarter is the test set. A deletion is a forward pass over the person's records and",
            "the solution; a retraining is a forward pass over all that stay and the solution.",
            "",
            *grid(("digits", "value"), [(name, _shown(value)) for name, value in digits.items()]),
            "",
        ]
    )


def _shown(value: float) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    return "0" if value == 0 else f"{value:.1f}" if value >= 10 else f"{value:.2g}"


if __name__ == "__main__":
    typer.run(main)
