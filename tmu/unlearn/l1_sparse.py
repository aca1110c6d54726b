"""l1-sparse: fine-tune on the retain set while pressing all weights towards zero.

Formula: min CE(D_r) + gamma_t · ‖θ‖₁ from the original; gamma_t falls linearly from 2·gamma to 0, so that its mean is
gamma. Reference: Jia et al., "Model sparsity can simplify machine unlearning", NeurIPS 2023, arXiv 2304.04934. Cost: a
few epochs on D_r. Failure mode: as fine-tuning, unless gamma is so large that utility goes too; nothing in the loss
knows D_f. Published hyper-parameters: gamma 5e-4 (AMUN's code); the same with the factor 2 - 2t/T, 10 epochs, SGD .01
(ReGUn's code); the paper's own value is unknown to us.
"""

from pydantic import Field
from torch import Tensor, nn

from tmu.config import Config
from tmu.train.batch import Batch, Objective, soft_cross_entropy
from tmu.unlearn.finetune import recipe_of
from tmu.unlearn.problem import Outcome, Problem

NEEDS_TWIN = False
NEEDS_HOLDOUT = False
CANDIDATES = tuple({"lr": lr, "gamma": gamma} for gamma in (1e-4, 5e-4) for lr in (0.01, 0.05))


class Options(Config):
    """Length, rate and pressure."""

    steps: int = Field(300, ge=1)
    lr: float = Field(0.05, gt=0)
    gamma: float = Field(5e-4, ge=0, description="mean factor of the sum of all weights' magnitudes")


def sparse_objective(gamma: float) -> Objective:
    """Cross-entropy plus the l1 norm of all parameters, whose factor falls to 0 over the run."""

    def l1_objective(model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        loss, logits = soft_cross_entropy(model, batch)
        norm = sum(parameter.abs().sum() for parameter in model.parameters())
        return loss + 2 * gamma * (1 - batch.done) * norm, logits

    return l1_objective


def unlearn(problem: Problem, options: Options) -> Outcome:
    """Fine-tune on D_r under the norm."""
    recipe = recipe_of(problem.recipe, options.steps, options.lr, len(problem.retain))
    report = problem.fit(
        problem.model, problem.retain, recipe, problem.seeds, objective=sparse_objective(options.gamma)
    )
    return Outcome(problem.model, report)
