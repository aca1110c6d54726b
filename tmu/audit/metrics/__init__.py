"""The audit's numbers, one subject a file; a new file in this folder adds metrics without any other change."""

from tmu.audit.metrics.registry import Metric, all_metrics, metric

__all__ = ["Metric", "all_metrics", "metric"]
