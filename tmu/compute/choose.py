"""The backend that the settings name, and what an item takes of it."""

from typing import TYPE_CHECKING

from tmu.compute.crew import Backend, Resources
from tmu.compute.local import Local

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


def resources_of(settings: "Settings", device: str) -> Resources:
    """What a training takes. device: `cpu` or `cuda`."""
    return Resources(settings.threads, settings.compute_gpus_per_item if device == "cuda" else 0.0)
