"""The guard of methods that learn from the hold-out: is the forget set distributed like it?

With a twin the whole shift test is made (`tmu/twin/shift.py`). A method that uses the hold-out without one gets the
part that counts alone can tell: class mix, and the share of each class that the request removes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from tmu.errors import GateError
from tmu.train import Examples
from tmu.train.predict import predict
from tmu.twin.class_mix import ClassShift, class_shift
from tmu.unlearn import get_method

if TYPE_CHECKING:
    from tmu.twin.shift import Sample, ShiftReport, Verdict
    from tmu.unlearn.problem import Problem

HINT = "Use `--method retrain`: it needs no hold-out."
_UNSEEN = "features were not compared, because there is no twin"


@dataclass(frozen=True)
class CountReport:
    """Verdict of the class counts, the reason in a sentence, and the numbers; fields as in `ShiftReport`."""

    verdict: "Verdict"
    reason: str
    classes: ClassShift

    def as_json(self) -> dict[str, Any]:
        """Plain numbers for a report."""
        return {**vars(self), "classes": self.classes.as_json()}


def learns_from_holdout(method: str) -> bool:
    """Whether what the method does rests on the hold-out, by a twin or directly."""
    module = get_method(method)
    return module.NEEDS_TWIN or module.NEEDS_HOLDOUT


def check_shift(problem: "Problem", holdout: Examples, names: Sequence[str] = ()) -> "ShiftReport | CountReport":
    """Compare forget set and hold-out (without what is to be forgotten of it): all with a twin, else the counts."""
    from tmu.twin.shift import shift_report

    if problem.twin is None:
        return _counted(problem, holdout, names)
    forget, kept = shift_samples(problem, holdout)
    return shift_report(forget, kept, problem.retain.labels.cpu(), names=names, seed=problem.seeds.evaluate)


def _counted(problem: "Problem", holdout: Examples, names: Sequence[str]) -> CountReport:
    parts = (problem.forget, problem.retain, holdout)
    counts = [torch.bincount(part.labels.cpu(), minlength=problem.classes).numpy() for part in parts]
    mix = class_shift(*counts, names=names, seed=problem.seeds.evaluate)
    if refusal := mix.refusal():
        return CountReport("refuse", f"{refusal[0].upper()}{refusal[1:]}.", mix)
    if mix.differs:
        return CountReport(
            "covered", f"The class mix differs by {100 * mix.distance:.0f} % (p {mix.p:.4f}); {_UNSEEN}.", mix
        )
    return CountReport("alike", f"No shift of the class mix that is both significant and large; {_UNSEEN}.", mix)


def shift_samples(problem: "Problem", holdout: Examples) -> tuple["Sample", "Sample"]:
    """Both sets as the first curriculum net sees them: it started fresh and learnt them for equally long."""
    from tmu.twin.shift import Sample

    samples = []
    for part in (problem.forget, holdout):
        _, phi = predict(problem.twin.curriculum[0], part.images, device=problem.device)
        samples.append(Sample(phi, part.labels.cpu()))
    return samples[0], samples[1]


def refuse_shift(report: "ShiftReport | CountReport") -> None:
    """Raise GateError where the report says so."""
    if report.verdict == "refuse":
        raise GateError(f"The forget set is not distributed like the hold-out: {report.reason}", HINT)
