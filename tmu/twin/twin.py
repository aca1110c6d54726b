"""Everything that one twin problem yields for later deletions, and how it is applied to a forget set.

Keyed by data revision and original model; it serves every forget set that is resolved against these two.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tmu.config import Seeds, TwinConfig
from tmu.train import Examples, Fit, logits_of
from tmu.train.examples import join
from tmu.twin.features import compute_features
from tmu.twin.predictor import Predictor, fit_predictor
from tmu.twin.problem import GateReport, fit_twin
from tmu.twin.quality import predictor_quality
from tmu.twin.side import Side, make_side


@dataclass(frozen=True)
class Twin:
    """What the deletions need: nets and predictor.

    easy_confidence: mean true-class confidence of the original on the hold-out records it gets right.
    hard_confidence: the original's mean probabilities of the true class and of its own answer on those it gets wrong.
    """

    model: nn.Module
    curriculum: list[nn.Module]
    predictor: Predictor
    easy_confidence: float
    hard_confidence: tuple[float, float]
    config: TwinConfig

    def side(self, original: nn.Module, forget: Examples, retain: Examples, device: torch.device | str) -> Side:
        """The real side: D_f under the original, with D_r as reference."""
        return make_side(original, forget, retain, self.curriculum, self.config, device)

    def p_wrong(self, side: Side) -> Tensor:
        """Calibrated chance (N,) that the gold gets each sample of the side wrong."""
        return self.predictor.p_wrong(compute_features(side), side.samples.labels.cpu())


@dataclass(frozen=True)
class TwinReport:
    """Numbers for the report: the gate, the predictor's cross-fitted quality, seconds by part."""

    gate: GateReport
    quality: dict
    seconds: dict[str, float]


def build_twin(
    original: nn.Module,
    fresh: Callable[[int], nn.Module],
    train: Examples,
    holdout: Examples,
    config: TwinConfig,
    seeds: Seeds,
    fit: Callable[..., Fit],
    clock: Callable[[], float],
    device: torch.device | str = "cpu",
) -> tuple[Twin, TwinReport]:
    """Fit M_t, the curriculum nets and the predictor.

    `fresh(i)` gives the i-th newly initialised network of the architecture. Raises GateError (see `fit_twin`,
    `fit_predictor`).
    """
    marks = [clock()]
    model, gate, _ = fit_twin(original, train, holdout, config, seeds, fit, device=device)
    marks.append(clock())
    curriculum = _curriculum(fresh, train, holdout, config, seeds, fit)
    marks.append(clock())
    twin, quality = fit_on_side(model, curriculum, original, train, holdout, config, seeds.evaluate, device)
    marks.append(clock())
    parts = ("twin_model", "curriculum_nets", "predictor")
    seconds = {part: marks[i + 1] - marks[i] for i, part in enumerate(parts)}
    return twin, TwinReport(gate, quality, seconds)


def fit_on_side(
    model: nn.Module,
    curriculum: list[nn.Module],
    original: nn.Module,
    train: Examples,
    holdout: Examples,
    config: TwinConfig,
    seed: int,
    device: torch.device | str = "cpu",
) -> tuple[Twin, dict]:
    """Predictor from features of `holdout` under the twin model and outcomes under the original.

    Returns the twin and the predictor's cross-fitted quality.
    """
    side = make_side(model, holdout, train, curriculum, config, device)
    unseen = logits_of(original, holdout.images, device=device)  # the free gold of the twin problem
    features, labels = compute_features(side), holdout.labels.cpu()
    wrong = unseen.argmax(1) != labels
    predictor, held_out = fit_predictor(features, labels, wrong, unseen.shape[1], config, seed)
    easy, hard = _confidences(unseen.softmax(1), labels, wrong)
    return Twin(model, curriculum, predictor, easy, hard, config), predictor_quality(held_out.numpy(), wrong.numpy())


def _confidences(p: Tensor, labels: Tensor, wrong: Tensor) -> tuple[float, tuple[float, float]]:
    of_true, of_answer = p.gather(1, labels[:, None])[:, 0], p.amax(1)
    return float(of_true[~wrong].mean()), (float(of_true[wrong].mean()), float(of_answer[wrong].mean()))


def _curriculum(
    fresh: Callable[[int], nn.Module],
    train: Examples,
    holdout: Examples,
    config: TwinConfig,
    seeds: Seeds,
    fit: Callable[..., Fit],
) -> list[nn.Module]:
    nets = []
    recipe = config.train.model_copy(update={"epochs": config.curriculum_epochs})
    for index in range(config.curriculum_nets):
        net = fresh(index)
        both = join(train, holdout, 1 + int(max(train.labels.max(), holdout.labels.max())))
        plain = Examples(both.images, both.labels, both.keys)
        offset = 5000 + index
        fit(net, plain, recipe, Seeds(order=seeds.order + offset, augment=seeds.augment + offset))
        nets.append(net)
    return nets
