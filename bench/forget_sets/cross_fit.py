"""Cross-fit: how a record fares under models that have seen it and under models that have not.

The training set is halved at random `repeats` times and one model is trained on each half, so that every record is in
the training set of `repeats` models and out of that of `repeats` others. Source of the idea: Feldman and Zhang, "What
neural networks memorize and why", NeurIPS 2020, arXiv 2008.03703, who train thousands of models on random 70 %; with
two halvings the scores are noisy record by record and serve to rank groups.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from bench.forget_sets.pick import ranked
from tmu.config import Seeds, TrainConfig
from tmu.errors import DataError
from tmu.train import Examples, predict


@dataclass(frozen=True)
class CrossFit:
    """N records, float32 on the CPU.

    in_confidence, out_confidence: (N,) mean probability of the true class under the models that have, and have not,
    seen the record. out_correct: (N,) share of the latter that get it right. features: (N, 2F), rows of length 1: the
    penultimate features of the first halving's two models side by side, each scaled to length 1 first. One of the two
    has not seen the record. Its features alone would not do: the halves would lie in the spaces of two networks, and
    any cluster or direction would tell the halves apart, not the records.
    """

    in_confidence: Tensor
    out_confidence: Tensor
    out_correct: Tensor
    features: Tensor

    @property
    def memorisation(self) -> Tensor:
        """(N,) in -1..1: in_confidence - out_confidence, large where only a model that saw the record knows it."""
        return self.in_confidence - self.out_confidence

    def state(self) -> dict[str, Tensor]:
        """The tensors by name, to be stored."""
        return dict(vars(self))

    @classmethod
    def from_state(cls, state: dict[str, Tensor]) -> "CrossFit":
        """What `state` gave; DataError where a tensor lacks or is one too many."""
        wrong = sorted(set(state) ^ set(cls.__dataclass_fields__))
        if wrong:
            raise DataError(f"A stored cross-fit does not fit: {', '.join(wrong)}.", "Make it anew.")
        return cls(**state)


def crossfit(
    fresh: Callable[[int], nn.Module],
    train: Examples,
    recipe: TrainConfig,
    seeds: Seeds,
    fit: Callable,
    repeats: int = 2,
    device: torch.device | str = "cpu",
) -> CrossFit:
    """Train 2 · `repeats` models, `fresh(0)`, `fresh(1)`, ..., each on one half of `train`, and score every record.

    `fit(model, examples, recipe, seeds, device=device)` trains in place (`tmu.train.fit`). Halves depend on the
    record keys and `seeds.evaluate`. Raises DataError for fewer than four records.
    """
    if len(train) < 4 or repeats < 1:
        raise DataError(f"{len(train)} records, {repeats} halvings.", "A cross-fit needs four records and one halving.")
    totals, features = torch.zeros(3, len(train)), []
    for number in range(2 * repeats):
        seen = halves(train, seeds.evaluate, number // 2) == number % 2
        model = fresh(number)
        fit(model, train.take(seen.to(train.labels.device)), recipe, seeds, device=device)
        logits, phi = predict(model, train.images, device=device)
        confidence, correct = _of_true_class(logits, train.labels.cpu())
        totals += torch.stack([confidence * seen, confidence * ~seen, correct * ~seen])
        features.append(normalize(phi, dim=1))
    scores = [row.clone() for row in totals / repeats]  # storage of their own, as safetensors wants it
    return CrossFit(*scores, normalize(torch.cat(features[:2], dim=1), dim=1))


def halves(train: Examples, seed: int, repeat: int) -> Tensor:
    """0 or 1 for each record, int64 (N,): a random half each, equal in size (or by one record)."""
    half = torch.ones(len(train), dtype=torch.int64)
    half[ranked(train.keys, seed, f"half {repeat}")[: len(train) // 2]] = 0
    return half


def _of_true_class(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Probability of the true class and whether it is the answer, both float32 (N,)."""
    confidence = logits.softmax(1).gather(1, labels[:, None]).squeeze(1)
    return confidence, (logits.argmax(1) == labels).float()
