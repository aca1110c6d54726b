"""Where work runs: in this process, in others of this machine, or on a Ray cluster (docs/compute.md)."""

from tmu.compute.choose import backend_of, resources_of
from tmu.compute.crew import Backend, Crew, Ended, Resources, side_by_side
from tmu.compute.here import Here
from tmu.compute.local import Local

__all__ = ["Backend", "Crew", "Ended", "Here", "Local", "Resources", "backend_of", "resources_of", "side_by_side"]
