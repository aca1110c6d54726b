"""Is the forget set distributed like the hold-out? Without that, what the twin teaches does not carry over.

Two comparisons: the class mix (`class_mix.py`), and the features within classes by a classifier two-sample test: AUC of
a cross-fitted discriminant (`separation.py`), and its p-value by permuting forget / hold-out within classes, with the
discriminant fitted anew each time. A hold-out that differs may still cover the forget set: weights, class ratio times a
tilt along the discriminant (`balance.py`), make it look like the forget set, and the verdict is what is left of it
then.
Features must come from a network that has learnt both sets alike, such as a curriculum net (fresh, trained on D ∪ D_h):
between two networks, or between records learnt at other times, the test finds the networks and not a shift.
Cost: about a second at 2,000 against 6,000 records. Failure mode: a difference that no linear function of the features
shows within a class, or one of fewer than `least` records.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor

from tmu.train.order import stream
from tmu.twin.balance import balancing_weights
from tmu.twin.class_mix import LIMITS, ClassShift, Limits, class_shift, kish
from tmu.twin.separation import class_centred, cross_scores, permuted, stratified_auc

Verdict = Literal["alike", "covered", "refuse"]


@dataclass(frozen=True)
class Sample:
    """Records of one set: features (N, F) and labels (N,), on the CPU."""

    features: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: Tensor) -> "Sample":
        """Some of the records: bool (N,) or positions."""
        return Sample(self.features[rows], self.labels[rows])


@dataclass(frozen=True)
class ShiftReport:
    """Numbers, verdict, and the reason in a sentence. auc, p_features: None where there are too few records to tell.

    residual_auc: what is left of `auc` once the hold-out is re-weighted. effective: hold-out records' worth after that.
    """

    verdict: Verdict
    reason: str
    classes: ClassShift
    auc: float | None
    p_features: float | None
    residual_auc: float | None
    effective: float
    n_forget: int
    n_holdout: int

    @property
    def covariate(self) -> bool:
        """Whether the features differ within classes, significantly and by enough to matter."""
        limits = self.classes.limits
        if self.auc is None or self.p_features is None:
            return False
        return self.p_features < limits.alpha and self.auc > limits.auc

    def as_json(self) -> dict[str, Any]:
        """Plain numbers for a report."""
        return {**vars(self), "classes": self.classes.as_json()}


def shift_report(
    forget: Sample,
    holdout: Sample,
    retain_labels: Tensor,
    *,
    names: Sequence[str] = (),
    seed: int = 0,
    limits: Limits = LIMITS,
) -> ShiftReport:
    """Compare forget set and hold-out (less what is to be forgotten of it), both seen through one network.

    retain_labels (M,): classes of what is kept; they say which share of a class the request removes. names: of the
    classes, for the sentence.
    """
    parts = [forget.labels, retain_labels, holdout.labels]
    classes = 1 + max(int(part.max()) for part in parts if len(part))
    counts = [torch.bincount(part.cpu(), minlength=classes).numpy() for part in parts]
    mix = class_shift(*counts, names=names, seed=seed, limits=limits)
    auc = p = None
    if len(forget) >= limits.least and not mix.missing:
        auc, p = _features_test(forget, holdout, seed, limits)
    report = ShiftReport("alike", "", mix, auc, p, None, float(len(holdout)), len(forget), len(holdout))
    if not mix.missing and (mix.differs or report.covariate):
        weights, residual = weighted(forget, holdout, report, seed)
        report = replace(report, residual_auc=residual, effective=kish(weights.numpy()))
    verdict, reason = _judge(report)
    return replace(report, verdict=verdict, reason=reason)


def _judge(report: ShiftReport) -> tuple[Verdict, str]:
    limits, mix, found = report.classes.limits, report.classes, []
    if refusal := mix.refusal():
        return "refuse", f"{_capital(refusal)}."
    if mix.differs:
        found.append(f"the class mix differs by {100 * mix.distance:.0f} % (p {mix.p:.4f})")
    if report.covariate:
        found.append(f"records of one class differ (AUC {report.auc:.2f}, p {report.p_features:.3f})")
    if not found:
        told = "" if report.auc is not None else "; too few forgotten records to compare features"
        return "alike", f"No shift that is both significant and large{told}."
    text = f"{_capital(' and '.join(found))}; re-weighted,"
    if report.effective < limits.effective:
        return "refuse", f"{text} the hold-out is worth {report.effective:.0f} records."
    if report.residual_auc is not None and report.residual_auc > limits.residual_auc:
        return "refuse", f"{text} an AUC of {report.residual_auc:.2f} is left."
    return "covered", f"{text} the hold-out is worth {report.effective:.0f} records."


def _features_test(forget: Sample, holdout: Sample, seed: int, limits: Limits) -> tuple[float, float]:
    """AUC within classes and its permutation p-value, on at most `limits.most` records."""
    generator = _generator(seed, "shift test")
    ours, theirs = (
        part.take(torch.randperm(len(part), generator=generator)[:most])
        for part, most in zip((forget, holdout), limits.most, strict=True)
    )
    x, labels, groups, _ = _together(ours, theirs, generator)
    columns = permuted(labels, groups, limits.permutations, generator)
    aucs = stratified_auc(cross_scores(x, labels, columns, generator), labels, columns)
    return float(aucs[0]), (1 + int((aucs[1:] >= aucs[0] - 1e-12).sum())) / (1 + limits.permutations)


def weighted(forget: Sample, holdout: Sample, report: ShiftReport, seed: int) -> tuple[Tensor, float | None]:
    """Weights (N_h,), float64 of mean 1, and the AUC that they leave where the features differ."""
    weights, residual = torch.ones(len(holdout), dtype=torch.double), None
    if report.covariate:
        used = torch.isin(holdout.labels, forget.labels)
        weights[used], residual = _balanced(forget, holdout.take(used), seed, report.classes.limits.odds)
    if report.classes.differs:
        classes = 1 + int(max(forget.labels.max(), holdout.labels.max()))
        wanted, there = (torch.bincount(part.labels, minlength=classes).double() for part in (forget, holdout))
        weights *= (wanted / there.clamp_min(1))[holdout.labels]
    return weights / weights.mean().clamp_min(1e-12), residual


def _balanced(forget: Sample, holdout: Sample, seed: int, bound: float) -> tuple[Tensor, float]:
    """Weights (N_h,), mean 1 in every class, that balance the discriminant's score, and the AUC that they leave."""
    generator = _generator(seed, "shift weights")
    x, labels, groups, order = _together(forget, holdout, generator)
    scores = cross_scores(x, labels, groups[:, None], generator)
    mine = groups == 1
    weights = torch.ones(len(labels), dtype=torch.double)
    weights[~mine] = balancing_weights(scores[~mine, 0], labels[~mine], scores[mine, 0], labels[mine], bound)
    residual = float(stratified_auc(scores, labels, groups[:, None], weights)[0])
    return torch.empty_like(weights).index_copy_(0, order, weights)[len(forget) :], residual


def _together(forget: Sample, holdout: Sample, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Class-centred columns, labels and groups (1: forget set) of the forget set's classes, shuffled; and the order."""
    holdout = holdout.take(torch.isin(holdout.labels, forget.labels))
    labels = torch.cat([forget.labels, holdout.labels])
    order = torch.randperm(len(labels), generator=generator)
    groups = (torch.arange(len(labels)) < len(forget)).long()
    x = class_centred(torch.cat([forget.features, holdout.features]), labels)
    return x[order], labels[order], groups[order], order


def _generator(seed: int, purpose: str) -> torch.Generator:
    return torch.Generator().manual_seed(stream(seed, purpose) & (2**63 - 1))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
