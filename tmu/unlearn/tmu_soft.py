"""TMU with soft generalisation labels: teach the forget set what a model that has not seen it would say.

Formula: from M_o, min CE(q(x), p(x)) + .2 Huber(margin of p - margin of q) over batches of D_f together with
CE(y, p(x)) over a replay of D_r, some dozen batches in all. q is foreseen from the references, networks that never saw
the record (`tmu/twin/reference_twin.py`); length, rate, replay and lead were chosen on the references' twin problems
(`rates.py`, `replay.py`).
Reference: ours; it answers the reviewers' points on the arg-max label, on teaching the easy samples, and on a hold-out
that must be distributed like the forget set (`docs/method.md`). The replay is what oracle matching does with a retain
sample (Georgiev et al., arXiv 2410.23232). Cost: about one percent of a retraining for one person, eight for a tenth of
D; the references cost as many retrainings as there are pairs, once. Failure mode: a forget set on which a network of
half of D says otherwise than a gold, such as people in a data set of a few dozen.
"""

from tmu.config import Config
from tmu.references.rows import FLOOR
from tmu.train import logits_of
from tmu.twin.replay import StepCase, replay_weights, take_step
from tmu.unlearn.problem import Outcome, Problem

NEEDS_TWIN = False
NEEDS_HOLDOUT = False
NEEDS_REFERENCES = True


class Options(Config):
    """No choices: the references' twin problems make them, for each model (`tmu/twin/rates.py`)."""


def unlearn(problem: Problem, options: Options) -> Outcome:
    """Foresee the targets, then take the step."""
    assert problem.lessons is not None  # NEEDS_REFERENCES
    lessons, device = problem.lessons, problem.device
    plan = lessons.twin.plan(len(problem.forget))
    own = logits_of(problem.model, problem.forget.images, device=device).log_softmax(1).clamp_min(FLOOR)
    targets = lessons.twin.targets(lessons.forget, own, lessons.lost, plan.lead)
    weights = replay_weights(lessons.replay)
    case = StepCase(
        problem.forget, problem.retain, weights, problem.classes, problem.recipe, problem.seeds, problem.fit
    )
    report = take_step(problem.model, case, targets, plan)
    wrong = 1 - float(targets.gather(1, lessons.forget.labels[:, None]).mean())
    notes = {"n_forget": len(problem.forget), "mean_p_wrong": wrong, "batches": plan.batches, "lr": plan.lr}
    return Outcome(problem.model, report, notes | {"lead": plan.lead, "replayed": plan.draws})
