"""One tight group of look-alike records: a source, a session or a scene that is withdrawn.

k-means with k = 1 / share in the features of the cross-fit; the cluster whose size is nearest to the share, so the
size follows the data. Source: the CLIP-neighbour set of the data-unlearning benchmark (arXiv 2602.16400), with a
model's own features for CLIP's.
"""

import torch
from pydantic import Field
from torch import Tensor

from bench.forget_sets.pick import size_of
from bench.forget_sets.world import ForgetWorld
from tmu.config import Config
from tmu.train.order import stream

NEEDS_CROSSFIT = True


class Options(Config):
    """About how much."""

    share: float = Field(0.05, description="of the training records, about")


def draw(world: ForgetWorld, options: Options) -> Tensor:
    """Bool (N,)."""
    from sklearn.cluster import KMeans

    size = size_of(options.share, len(world.train))
    clusters = max(2, round(1 / options.share))
    kmeans = KMeans(clusters, n_init=4, random_state=stream(world.seed, "cluster") % 2**32)
    found = torch.from_numpy(kmeans.fit_predict(world.fitted().features.double().numpy())).long()
    counts = torch.bincount(found, minlength=clusters)
    return found == (counts - size).abs().argmin()
