"""What forgetting costs in retrainings of the same forget set: the method alone, and with what is made once in full.

Made once for a model, and used for all its deletions: a fine-tuned twin, or references and the twin fitted on them.
"""

from math import floor

from bench.statistics import over_seeds
from bench.tables.cells import DEFAULT, EXACT, GOLD, RANDOM_CHOICE, TWIN, Cells, row_order
from bench.tables.columns import Column, column, times
from bench.tables.markdown import grid, label
from tmu.audit.render import NONE

_READ = (
    "Retrainings (×) ↓: the method alone / with what is made once in full (a fine-tuned twin, or references and the "
    "twin fitted on them). Seconds are of the training or fit alone."
)
_ALONE, _WHOLE = "seconds_ratio_alone", "seconds_ratio_whole"
_SECONDS = "seconds_alone"


def cost(cells: Cells) -> list[str]:
    """Ratios by method and forget set, the seconds behind them, and what they mean for the default."""
    sets = [s for s in cells.forget_sets() if any(cells.values(s, row, _ALONE) for row in cells.rows(s))]
    if not sets:
        return []
    rows = sorted({row for name in sets for row in [*cells.methods(name), EXACT, RANDOM_CHOICE]}, key=row_order)
    shown = [[label(row), *(_cell(cells, name, row) for name in sets)] for row in rows]
    shown = [line for line in shown if set(line[1:]) != {NONE}]
    seconds = [[name, *(_seconds(cells, s, row) for s in sets)] for name, row in _NAMED.items()]
    sentences = [line for name in sets if (line := _sentence(cells, name))]
    return [
        "### Cost",
        "",
        _READ,
        "",
        *grid(["row", *sets], [*shown, *_once(cells, sets), *seconds, *_of_exact_head(cells, sets)]),
        "",
        *sentences,
        "",
    ]


_NAMED = {"one retraining (s)": GOLD, "the fine-tuned twin, once per model (s)": TWIN}
_EXACT = {
    "a deletion by `exact-head` (s)": _SECONDS,
    "one retraining with a ridge head (s)": "seconds_retraining",
    "the proof of `exact-head`, a recomputation (s)": "seconds_audit",
}


def _once(cells: Cells, sets: list[str]) -> list[list[str]]:
    """What the default's references cost, where it has some."""
    asked = {"references, once per model": "references", "twin fitted on them, once per model": "lessons"}
    lines = []
    for words, name in asked.items():
        found = [cells.values(each, DEFAULT, f"seconds_ratio_{name}") for each in sets]
        if any(found):
            lines.append([words, *(times(over_seeds(each).mean) if each else NONE for each in found)])
    return lines


def _cell(cells: Cells, forget_set: str, row: str) -> str:
    alone, whole = (cells.values(forget_set, row, metric) for metric in (_ALONE, _WHOLE))
    if not alone:
        return "refused" if cells.refused(forget_set, row) else NONE
    first = times(over_seeds(alone).mean)
    return first if not whole or whole == alone else f"{first} / {times(over_seeds(whole).mean)}"


def _of_exact_head(cells: Cells, sets: list[str]) -> list[list[str]]:
    """Seconds of the row that has golds of its own, where it was measured: two digits, since they are few."""
    lines = []
    for words, metric in _EXACT.items():
        found = [cells.values(each, EXACT, metric) for each in sets]
        if any(found):
            lines.append([words, *(times(over_seeds(each).mean) if each else NONE for each in found)])
    return lines


def _seconds(cells: Cells, forget_set: str, row: str) -> str:
    shown: Column = column(cells, _SECONDS)
    return shown.text(cells.estimate(forget_set, row, _SECONDS))


def _sentence(cells: Cells, forget_set: str) -> str | None:
    alone, whole = (cells.estimate(forget_set, DEFAULT, metric) for metric in (_ALONE, _WHOLE))
    if alone is None or whole is None:
        return None
    head = f"- {forget_set}: {label(DEFAULT)} costs {times(alone.mean)} retrainings alone and {times(whole.mean)} with"
    if whole.mean < 1:
        return f"{head} what is made once: cheaper than retraining, the first deletion included."
    if alone.mean >= 1:
        return f"{head} what is made once: retraining is the cheaper way, however often that is used."
    deletions = floor((whole.mean - alone.mean) / (1 - alone.mean)) + 1
    return f"{head} what is made once: retraining is cheaper for one deletion; it pays from {deletions} deletions on."
