"""`tmu serve` as a real process: the one that the benchmarks start."""

from bench.service.server import server

__all__ = ["server"]
