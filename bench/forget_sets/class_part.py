"""A random part of one class: requests that hit one kind of image, while the model must keep the class.

Class priors shift, so the forget set is no longer distributed like the hold-out. Source: partial class removal of
"Eternal sunshine of the spotless net" (Golatkar et al., CVPR 2020, arXiv 1911.04933: 100 images of one class), here
as a share.
"""

from pydantic import ConfigDict, Field
from torch import Tensor

from bench.forget_sets.pick import mask_of, of_class, ranked, size_of
from bench.forget_sets.world import ForgetWorld
from tmu.config import Config

NEEDS_CROSSFIT = False


class Options(Config):
    """Which class, how much of it."""

    model_config = ConfigDict(populate_by_name=True)

    label: int = Field(0, alias="class", description="index of the class")
    share: float = Field(0.2, description="of the class's records")


def draw(world: ForgetWorld, options: Options) -> Tensor:
    """Bool (N,)."""
    rows = of_class(world.train.labels, options.label, world.classes)
    order = ranked(world.train.keys.cpu()[rows], world.seed, "class-part")
    return mask_of(rows[order[: size_of(options.share, len(rows))]], len(world.train))
