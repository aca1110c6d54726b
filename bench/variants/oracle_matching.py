"""Oracle matching towards the references: fine-tune on D_f and a retain sample towards the table's mean outputs.

Formula: min CE(u(x), p(x)) over D_f and a sample of D_r of three times its size, where u is the mean of the references
that never saw x on D_f, and of those that learned x on D_r. Reference: Georgiev et al., arXiv 2410.23232, whose oracle
is many models on half of the data, and which trains for five epochs; options there: a rate of 1e-5 to 1e-3 with Adam on
CIFAR-10, here the engine's SGD. Cost: 20 |D_f| records. Failure mode: mean outputs are less sure than any one network.
"""

from pydantic import Field

from bench.variants.brief import some_of
from tmu.config import Config
from tmu.train.examples import join
from tmu.unlearn.problem import Outcome, Problem

NEEDS_TWIN = False
NEEDS_HOLDOUT = False
NEEDS_REFERENCES = True
NEEDS_LESSONS = False


class Options(Config):
    """The published recipe, and a rate."""

    epochs: int = Field(5, ge=1)
    retain_factor: float = Field(3.0, gt=0, description="size of the retain sample over that of D_f")
    lr: float = Field(0.05, gt=0)


def unlearn(problem: Problem, options: Options) -> Outcome:
    """Teach both sets what the references say of them."""
    lessons, device = problem.lessons, problem.forget.labels.device
    forget = problem.forget.taught(lessons.forget.unseen().to(device))
    learned = problem.retain.taught(lessons.replay.learned().to(device))
    share = min(1.0, options.retain_factor * len(forget) / len(learned))
    both = join(forget, some_of(learned, share, problem.seeds.unlearn), problem.classes)
    changes = {"epochs": options.epochs, "lr": options.lr, "schedule": "triangle", "warmup": 0.1}
    recipe = problem.recipe.model_copy(update=changes)
    return Outcome(problem.model, problem.fit(problem.model, both, recipe, problem.seeds), {"n_both": len(both)})
