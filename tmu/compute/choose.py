"""The backend that the settings name, and what an item takes of it."""

from typing import TYPE_CHECKING

from tmu.compute.crew import Backend, Resources
from tmu.compute.launch import Starter
from tmu.compute.local import Local
from tmu.compute.threads import threads_apart
from tmu.compute.torchrun import Torchrun

if TYPE_CHECKING:
    from tmu.settings import Settings


def backend_of(settings: "Settings", *, workers: int | None = None, apart: bool = False) -> Backend:
    """Where many items run. workers: at most so many at once, in place of `compute_workers`. apart: see `Local`.

    With `torchrun`, which splits a single training, many items run as with `local`.
    """
    most = workers or settings.compute_workers
    if settings.compute_backend == "ray":
        from tmu.compute.ray_backend import Ray

        return Ray(settings.compute_address, settings.compute_token, most)
    return Local(most, apart)


def starter_of(settings: "Settings") -> Starter:
    """Who starts the ranks of one training. Raises ConfigError where Ray is asked for and not installed."""
    if settings.compute_backend != "ray":
        return Torchrun()
    from tmu.compute.ray_cluster import Cluster

    cluster = Cluster(settings.compute_address, settings.compute_token)
    cluster.module()
    from tmu.compute.ray_train import RayTrain

    return RayTrain(cluster)


def resources_of(settings: "Settings", device: str, threads: int | None = None) -> Resources:
    """What a training takes. device: `cpu` or `cuda`. threads: None: as of many that run side by side."""
    return Resources(threads or threads_apart(settings), settings.compute_gpus_per_item if device == "cuda" else 0.0)
