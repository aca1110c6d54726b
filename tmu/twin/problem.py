"""The twin model M_t: the original fine-tuned until it knows the hold-out D_h as well as it knows its training set D.

Source: Sun et al., arXiv 2408.11433; the choice "D and D_h together, from the original's weights" and the gate are our
reconstruction (`docs/method.md`). Cost: a few epochs on D and D_h. Failure mode: a twin that has not memorised D_h
makes features of "unseen" records, so the predictor learns the wrong problem; the gate refuses it.
"""

import copy
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

import torch
from torch import Tensor, nn

from tmu.config import Seeds, TwinConfig
from tmu.errors import GateError
from tmu.models.registry import head_of
from tmu.train import Examples, Fit, logits_of
from tmu.train.examples import join


@dataclass(frozen=True)
class Memorised:
    """How well a model knows a set it was trained on: accuracy, mean true-class confidence (both 0..1), mean loss."""

    accuracy: float
    confidence: float
    loss: float

    @classmethod
    def of(cls, logits: Tensor, labels: Tensor) -> "Memorised":
        """From logits (N, K) and labels (N,)."""
        log_p = logits.log_softmax(1).gather(1, labels[:, None].cpu())[:, 0]
        right = (logits.argmax(1) == labels.cpu()).float().mean()
        return cls(float(right), float(log_p.exp().mean()), float(-log_p.mean()))


@dataclass(frozen=True)
class GateReport:
    """The gate's numbers: the original on D beside the twin on D_h, after `rounds` rounds of fine-tuning."""

    original_on_train: Memorised
    twin_on_holdout: Memorised
    rounds: int

    def passed(self, config: TwinConfig) -> bool:
        """True where the twin stands to D_h as the original stands to D, within the config's tolerances."""
        seen, twin = self.original_on_train, self.twin_on_holdout
        return (
            seen.accuracy - twin.accuracy <= config.accuracy_tolerance
            and abs(seen.confidence - twin.confidence) <= config.confidence_tolerance
        )

    def as_json(self) -> dict:
        """Plain numbers for a report."""
        return asdict(self)


def fit_twin(
    original: nn.Module,
    train: Examples,
    holdout: Examples,
    config: TwinConfig,
    seeds: Seeds,
    fit: Callable[..., Fit],
    *,
    device: torch.device | str = "cpu",
) -> tuple[nn.Module, GateReport, float]:
    """Fine-tune a copy of `original` on D ∪ D_h in rounds until the gate passes: (twin, report, seconds).

    Raises GateError with the numbers where `max_rounds` rounds do not memorise the hold-out.
    """
    both = join(train, holdout, head_of(original).out_features)
    both = replace(both, targets=None, weights=None, noise=None)
    seen = Memorised.of(logits_of(original, train.images, device=device), train.labels)
    twin, seconds, known = copy.deepcopy(original), 0.0, seen
    for done in range(1, config.max_rounds + 1):
        # a round is a run of its own: other order and views each time
        shifted = seeds.model_copy(update={"order": seeds.order + 1000 * done, "augment": seeds.augment + 1000 * done})
        seconds += fit(twin, both, config.train, shifted).seconds_train
        known = Memorised.of(logits_of(twin, holdout.images, device=device), holdout.labels)
        report = GateReport(seen, known, done)
        if report.passed(config):
            return twin, report, seconds
    raise unlike(seen, known, config.max_rounds)


def unlike(seen: Memorised, known: Memorised, rounds: int) -> GateError:
    """Which of the two knows its records better, in words. seen: original on D; known: twin on D_h."""
    numbers = (
        f"after {rounds} rounds: accuracy {known.accuracy:.3f} and confidence {known.confidence:.3f}, where the "
        f"original has {seen.accuracy:.3f} and {seen.confidence:.3f} on its training set."
    )
    if (known.accuracy, known.confidence) > (seen.accuracy, seen.confidence):
        what = "The twin knows the hold-out better than the original knows its training set"
        return GateError(f"{what} {numbers}", "Train the original for longer: raise `train.epochs`.")
    what = "The twin has not memorised the hold-out"
    return GateError(f"{what} {numbers}", "Raise `twin.train.epochs`, `twin.train.lr` or `twin.max_rounds`.")
