"""Does the twin know which forgotten records a gold gets wrong? Beside what label noise allows."""

import math
from collections.abc import Collection

from bench.statistics import Estimate, paired
from bench.tables.cells import TWIN, Cells
from bench.tables.markdown import grid
from tmu.audit.render import NONE

_ASKED = {
    "auroc_targets": "soft targets (`tmu-soft by epochs`) against one gold ↑",
    "auroc_single_gold": "predictor (`tmu`) against one gold ↑",
    "auroc_ceiling": "ceiling: other golds against one",
    "auroc_mean_gold": "predictor against all golds ↑",
    "auroc_on_twin": "predictor on the twin, cross-fitted ↑",
}
_COMPARED = {"auroc_targets": "targets to the ceiling, paired", "auroc_single_gold": "predictor to the ceiling, paired"}


def predictor(cells: Cells) -> list[str]:
    """One line a forget set; empty where no predictor was scored."""
    sets = [name for name in cells.forget_sets() if any(cells.values(name, TWIN, m) for m in _ASKED)]
    if not sets:
        return []
    asked = {m: words for m, words in _ASKED.items() if any(cells.values(name, TWIN, m) for name in sets)}
    compared = {m: words for m, words in _COMPARED.items() if m in asked}
    header = ["forget set", *asked.values(), *compared.values()]
    return [
        "### Predicting which records a gold gets wrong (AUROC)",
        "",
        *grid(header, [_line(cells, name, asked, compared) for name in sets]),
        "",
    ]


def _line(cells: Cells, forget_set: str, asked: Collection[str], compared: Collection[str]) -> list[str]:
    numbers = [_text(cells.estimate(forget_set, TWIN, metric)) for metric in asked]
    return [forget_set, *numbers, *(_to_the_ceiling(cells, forget_set, metric) for metric in compared)]


def _to_the_ceiling(cells: Cells, forget_set: str, metric: str) -> str:
    own, ceiling = (cells.values(forget_set, TWIN, name) for name in (metric, "auroc_ceiling"))
    if not own.keys() & ceiling.keys():
        return NONE
    gap = paired(own, ceiling)
    return f"{gap.mean:+.3f}{_interval(gap)}, {_word(gap)}"


def _text(estimate: Estimate | None) -> str:
    return NONE if estimate is None else f"{estimate.mean:.3f}{_interval(estimate)}"


def _interval(estimate: Estimate) -> str:
    return "" if math.isnan(estimate.low) else f" [{estimate.low:.3f}, {estimate.high:.3f}]"


def _word(gap: Estimate) -> str:
    if math.isnan(gap.low):
        return "one seed"
    if gap.low <= 0 <= gap.high:
        return "not distinguishable"
    return "above" if gap.low > 0 else "below"
