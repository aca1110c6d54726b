"""Everything that one twin problem yields for later deletions, and how it is applied to a forget set.

Keyed by data revision and original model; it serves every forget set that is resolved against these two.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tmu.config import Seeds, TrainConfig, TwinConfig
from tmu.train import Examples, Fit, logits_of
from tmu.train.examples import join
from tmu.train.order import hash_keys, stream
from tmu.twin.cross_fit import CrossFit, fit_cross_fit
from tmu.twin.features import compute_features
from tmu.twin.predictor import Predictor, fit_predictor
from tmu.twin.problem import GateReport, fit_twin
from tmu.twin.quality import predictor_quality
from tmu.twin.side import Side, make_side
from tmu.twin.target import TargetModel, fit_targets, terms_of

_CROSS_FIT = 1000  # number of the first cross-fit model among the fresh networks
_CALIBRATION_RECORDS = 4000  # of D, at most a third of it


@dataclass(frozen=True)
class Twin:
    """What the deletions need: nets, predictor, target model.

    easy_confidence: mean true-class confidence of the original on the hold-out records it gets right.
    hard_confidence: the original's mean probabilities of the true class and of its own answer on those it gets wrong.
    """

    model: nn.Module
    curriculum: list[nn.Module]
    predictor: Predictor
    targets: TargetModel
    easy_confidence: float
    hard_confidence: tuple[float, float]
    config: TwinConfig
    cross_fit: CrossFit | None = None

    def side(self, original: nn.Module, forget: Examples, retain: Examples, device: torch.device | str) -> Side:
        """The real side: D_f under the original, with D_r as reference."""
        return make_side(original, forget, retain, self.curriculum, self.config, device, self.cross_fit)

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
    original_recipe: TrainConfig | None = None,
) -> tuple[Twin, TwinReport]:
    """Fit M_t, the curriculum nets, the predictor and the target model.

    `fresh(i)` gives the i-th newly initialised network of the architecture. The cross-fit models are trained by the
    recipe `original_recipe`; without one there are none. Raises GateError (see `fit_twin`, `fit_predictor`).
    """
    marks = [clock()]
    model, gate, _ = fit_twin(original, train, holdout, config, seeds, fit, device=device)
    marks.append(clock())
    curriculum = _curriculum(fresh, train, holdout, config, seeds, fit)
    marks.append(clock())
    cross_fit = None
    if config.cross_fit and original_recipe is not None:
        cross_fit = fit_cross_fit(lambda number: fresh(_CROSS_FIT + number), train, original_recipe, seeds, fit)
    marks.append(clock())
    nets = (model, curriculum, cross_fit)
    twin, quality = fit_on_side(*nets, original, train, holdout, config, seeds.evaluate, device)
    marks.append(clock())
    parts = ("twin_model", "curriculum_nets", "cross_fit_models", "predictor")
    seconds = {part: marks[i + 1] - marks[i] for i, part in enumerate(parts)}
    return twin, TwinReport(gate, quality, seconds)


def fit_on_side(
    model: nn.Module,
    curriculum: list[nn.Module],
    cross_fit: CrossFit | None,
    original: nn.Module,
    train: Examples,
    holdout: Examples,
    config: TwinConfig,
    seed: int,
    device: torch.device | str = "cpu",
    calibrate: Side | None = None,
) -> tuple[Twin, dict]:
    """Predictor and targets from features of `holdout` under the twin model and outcomes under the original.

    `calibrate`: seen records on whose predicted margins the targets are calibrated; random records of D under the
    original unless given. Returns the twin and the predictor's cross-fitted quality.
    """
    side = make_side(model, holdout, train, curriculum, config, device, cross_fit)
    unseen = logits_of(original, holdout.images, device=device)  # the free gold of the twin problem
    features, labels = compute_features(side), holdout.labels.cpu()
    wrong = unseen.argmax(1) != labels
    predictor, held_out = fit_predictor(features, labels, wrong, unseen.shape[1], config, seed)
    seen = calibrate or random_side(original, train, curriculum, cross_fit, config, seed, device)
    of_seen, f = (terms_of(seen), seen.samples.labels.cpu()), terms_of(side)
    other = None if cross_fit is None else cross_fit.other(holdout, device)
    targets = fit_targets(f, labels, unseen, other, of_seen)
    easy, hard = _confidences(unseen.softmax(1), labels, wrong)
    twin = Twin(model, curriculum, predictor, targets, easy, hard, config, cross_fit)
    return twin, predictor_quality(held_out.numpy(), wrong.numpy())


def _confidences(p: Tensor, labels: Tensor, wrong: Tensor) -> tuple[float, tuple[float, float]]:
    of_true, of_answer = p.gather(1, labels[:, None])[:, 0], p.amax(1)
    return float(of_true[~wrong].mean()), (float(of_true[wrong].mean()), float(of_answer[wrong].mean()))


def random_side(
    original: nn.Module,
    train: Examples,
    curriculum: list[nn.Module],
    cross_fit: CrossFit | None,
    config: TwinConfig,
    seed: int,
    device: torch.device | str,
) -> Side:
    """Random records of D under the original, the others as reference: as a random forget set would be seen."""
    count = min(_CALIBRATION_RECORDS, max(1, len(train) // 3))
    order = torch.from_numpy(hash_keys(train.keys, stream(seed, "calibration")).argsort(kind="stable").copy())
    chosen = torch.zeros(len(train), dtype=torch.bool).index_fill_(0, order[:count], True).to(train.labels.device)
    return make_side(original, train.take(chosen), train.take(~chosen), curriculum, config, device, cross_fit)


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
