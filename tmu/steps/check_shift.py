"""The guard of methods that learn from the hold-out: is the forget set distributed like it?"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tmu.errors import GateError
from tmu.train import Examples
from tmu.train.predict import predict

if TYPE_CHECKING:
    from tmu.twin.shift import Sample, ShiftReport
    from tmu.unlearn.problem import Problem

MEND = "Use `--method retrain`: it needs no hold-out."


def check_shift(problem: "Problem", holdout: Examples, names: Sequence[str] = ()) -> "ShiftReport":
    """Compare forget set and hold-out (without what is to be forgotten of it). Needs a problem with a twin."""
    from tmu.twin.shift import shift_report

    forget, kept = shift_samples(problem, holdout)
    return shift_report(forget, kept, problem.retain.labels.cpu(), names=names, seed=problem.seeds.evaluate)


def shift_samples(problem: "Problem", holdout: Examples) -> tuple["Sample", "Sample"]:
    """Both sets as the first curriculum net sees them: it started fresh and learnt them for equally long."""
    from tmu.twin.shift import Sample

    samples = []
    for part in (problem.forget, holdout):
        _, phi = predict(problem.twin.curriculum[0], part.images, device=problem.device)
        samples.append(Sample(phi, part.labels.cpu()))
    return samples[0], samples[1]


def refuse_shift(report: "ShiftReport") -> None:
    """Raise GateError where the report says so."""
    if report.verdict == "refuse":
        raise GateError(f"The forget set is not distributed like the hold-out: {report.reason}", MEND)
