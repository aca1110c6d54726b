"""All records of one class: the classic "class-wise forgetting".

The gold has never seen the class and never answers it, so every forgotten record is hard: the opposite of the worst
case, and outside what a hold-out with that class in it can tell. Source: Golatkar et al., CVPR 2020, arXiv 1911.04933;
the class-wise tables of Unlearn-Sparse and SalUn.
"""

from pydantic import ConfigDict, Field
from torch import Tensor

from bench.forget_sets.pick import mask_of, of_class
from bench.forget_sets.world import ForgetWorld
from tmu.config import Config

NEEDS_CROSSFIT = False


class Options(Config):
    """Which class."""

    model_config = ConfigDict(populate_by_name=True)

    label: int = Field(0, alias="class", description="index of the class")


def draw(world: ForgetWorld, options: Options) -> Tensor:
    """Bool (N,)."""
    return mask_of(of_class(world.train.labels, options.label, world.classes), len(world.train))
