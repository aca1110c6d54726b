"""The records at one end of a principal direction: a forget set along what varies most in the data.

The top share by the projection of the centred features of the cross-fit; the direction's sign is such that its
largest loading is positive. Source: the forget sets along PCA directions of the data-unlearning benchmark (arXiv
2410.23232), with a model's own features.
"""

import torch
from pydantic import Field
from torch import Tensor

from bench.forget_sets.pick import mask_of, ranked, size_of
from bench.forget_sets.world import ForgetWorld
from tmu.config import Config
from tmu.errors import RequestError

NEEDS_CROSSFIT = True


class Options(Config):
    """How much, along which direction."""

    share: float = Field(0.1, description="of the training records")
    direction: int = Field(0, ge=0, description="0: the principal direction of most variance")


def draw(world: ForgetWorld, options: Options) -> Tensor:
    """Bool (N,). Raises RequestError where the features have fewer directions."""
    n = len(world.train)
    size = size_of(options.share, n)
    features = world.fitted().features.double()
    projected = (features - features.mean(0)) @ principal(features, options.direction)
    return mask_of(ranked(world.train.keys, world.seed, "pca", projected)[:size], n)


def principal(features: Tensor, number: int) -> Tensor:
    """The unit vector (F,) of a principal direction of (N, F), its largest loading positive."""
    if number >= features.shape[1]:
        raise RequestError(
            f"The features have {features.shape[1]} directions.", f"Choose 0 to {features.shape[1] - 1}."
        )
    vector = torch.linalg.eigh(features.T.cov())[1][:, -1 - number]
    return vector * vector[vector.abs().argmax()].sign()
