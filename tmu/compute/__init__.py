"""Work in several processes of this machine: as many as its cores or devices carry, and none outlives its parent."""

from tmu.compute.side_by_side import side_by_side, workers_for

__all__ = ["side_by_side", "workers_for"]
